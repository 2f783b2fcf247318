#include "core/cpu/sparse.h"

namespace pare::cpu {

const SparseKernels& sparse_kernels() {
#if defined(__x86_64__)
  switch (current_isa()) {
    case Isa::avx512:
      return sparse_kernels_avx512();
    case Isa::avx2:
      return sparse_kernels_avx2();
    case Isa::scalar:
      break;
  }
#endif
  return sparse_kernels_scalar();
}

}  // namespace pare::cpu
