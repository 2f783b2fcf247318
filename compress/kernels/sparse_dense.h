// Sparse weights times a block of images, images in the lanes: for blocks of `rows` outputs that
// share their column indices,
//   y[o][lane] = act(bias[o] + sum over the block's columns k, in order, of w[o][k] x[k][lane]).
// Leaving zeros out changes no bit of a finite sum, so the dense kernel may take the rest of a
// batch. x and y are transposed: [features][lanes].
#pragma once

#include <cstdint>

namespace pare {

constexpr int sparse_lanes = 64;

struct SparseDense {
  int rows = 1;                      // outputs in a block: 1 or 4
  int64_t blocks = 0;                // the last may hold fewer outputs; its weights are zero-padded
  const int32_t* starts = nullptr;   // [blocks + 1], into columns
  const int32_t* columns = nullptr;  // of each stored column
  const float* values = nullptr;     // [stored][rows]
  const float* bias = nullptr;       // [blocks * rows]
  bool relu = false;
};
// `lanes` is 32 or 64; y has blocks * rows rows.
using SparseDenseKernel = void (*)(const SparseDense&, const float* x, int lanes, float* y);
void sparse_dense_scalar(const SparseDense&, const float* x, int lanes, float* y);
void sparse_dense_avx2(const SparseDense&, const float* x, int lanes, float* y);
void sparse_dense_avx512(const SparseDense&, const float* x, int lanes, float* y);
SparseDenseKernel sparse_dense_kernel();  // that of current_isa()

}  // namespace pare
