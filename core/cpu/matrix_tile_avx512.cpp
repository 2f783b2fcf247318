#include "core/cpu/matrix_tile.inl"

namespace pare::cpu {

template <>
const MatrixKernels<float>& matrix_kernels_avx512<float>() {
  return table<float>;
}
template <>
const MatrixKernels<double>& matrix_kernels_avx512<double>() {
  return table<double>;
}

}  // namespace pare::cpu
