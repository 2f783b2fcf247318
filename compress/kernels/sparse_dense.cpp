#include "compress/kernels/sparse_dense.h"

#include "core/cpu/isa.h"

namespace pare {

SparseDenseKernel sparse_dense_kernel() {
#if defined(__x86_64__)
  switch (current_isa()) {
    case Isa::avx512:
      return sparse_dense_avx512;
    case Isa::avx2:
      return sparse_dense_avx2;
    case Isa::scalar:
      break;
  }
#endif
  return sparse_dense_scalar;
}

}  // namespace pare
