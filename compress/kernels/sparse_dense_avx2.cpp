#include "compress/kernels/sparse_dense.inl"

namespace pare {
void sparse_dense_avx2(const SparseDense& s, const float* x, int lanes, float* y) {
  sparse_by_block(s, x, lanes, y);
}
}  // namespace pare
