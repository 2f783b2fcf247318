#include "compress/kernels/sparse_dense.h"
#include "core/cpu/simd.h"

namespace pare {
namespace {

using V = cpu::Vec<float>;

template <int rows, int vectors>
void sparse_block(const SparseDense& s, int64_t block, const float* x, int lanes, float* y) {
  V acc[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < vectors; ++j) acc[r][j] = V::zero();
  for (int32_t i = s.starts[block]; i < s.starts[block + 1]; ++i) {
    const float* in = x + int64_t(s.columns[i]) * lanes;
    V column[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) column[j] = V::load(in + j * V::width);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const V w = V::set(s.values[int64_t(i) * rows + r]);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) acc[r][j] = fma(column[j], w, acc[r][j]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    const V bias = V::set(s.bias[block * rows + r]);
    for (int j = 0; j < vectors; ++j) {
      V v = acc[r][j] + bias;
      if (s.relu) v = max0(v);
      v.store(y + (block * rows + r) * lanes + j * V::width);
    }
  }
}

template <int rows>
void sparse_rows(const SparseDense& s, const float* x, int lanes, float* y) {
  // As many vectors at a time as leave registers for the block.
  constexpr int vectors = rows == 1 ? 64 / V::width < 8 ? 64 / V::width : 8 : 2;
  for (int64_t b = 0; b < s.blocks; ++b) {
    int lane = 0;
    for (; lane + vectors * V::width <= lanes; lane += vectors * V::width)
      sparse_block<rows, vectors>(s, b, x + lane, lanes, y + lane);
    for (; lane < lanes; lane += 2 * V::width)
      sparse_block<rows, 2>(s, b, x + lane, lanes, y + lane);
  }
}

void sparse_by_block(const SparseDense& s, const float* x, int lanes, float* y) {
  s.rows == 1 ? sparse_rows<1>(s, x, lanes, y) : sparse_rows<4>(s, x, lanes, y);
}

}  // namespace
}  // namespace pare
