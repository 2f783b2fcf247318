#include "core/cpu/matrix_tile.h"

namespace pare::cpu {

template <class T>
const MatrixKernels<T>& matrix_kernels() {
#if defined(__x86_64__)
  switch (current_isa()) {
    case Isa::avx512:
      return matrix_kernels_avx512<T>();
    case Isa::avx2:
      return matrix_kernels_avx2<T>();
    case Isa::scalar:
      break;
  }
#endif
  return matrix_kernels_scalar<T>();
}
template const MatrixKernels<float>& matrix_kernels<float>();
template const MatrixKernels<double>& matrix_kernels<double>();

}  // namespace pare::cpu
