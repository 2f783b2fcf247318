#include "compress/plan/row_product.h"

#include "core/cpu/isa.h"

namespace pare::plan {

RowProduct row_product() {
#if defined(__x86_64__)
  switch (current_isa()) {
    case Isa::avx512:
      return row_product_avx512;
    case Isa::avx2:
      return row_product_avx2;
    case Isa::scalar:
      break;
  }
#endif
  return row_product_scalar;
}

}  // namespace pare::plan
