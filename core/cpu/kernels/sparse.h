// The table of the sparse kernels of one instruction set. One kernel serves dense layers, where the
// positions are images, and convolutions, where they are pixels of zero-padded planes:
//
//   y[o][q] = act(bias[o] + sum over the stored columns i of o's block, in order,
//                           and r < run, of value[i][r][o] * x[offset[i] + r * run_step + q]
//                 + residual[o][q])          for positions q, act ReLU or nothing
//
// The outputs of a block share its columns, so that one load of x feeds a multiply-add of each; or
// the block is a slice (sliced ELLPACK, Kreutzer et al. 2014, arXiv 1307.6209): outputs of nearly
// the same count of weights, each with columns of its own, the shorter ones filled up with zeros.
// Its sums depend less on each other and its loop ends less often. Every element is one chain of
// multiply-adds from zero, as in the dense register tile (matrix_tile.h): zeros left out change no
// bit of a finite sum.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pare::cpu {

// How the weights of a matrix are stored.
enum class SparseForm {
  rows,        // one output after the other
  slices,      // four outputs side by side, each with columns of its own
  blocks_4x1,  // four outputs that share their columns
  blocks_8x1,
  blocks_1x4,  // runs of adjacent columns
};
inline constexpr SparseForm sparse_forms[] = {SparseForm::rows, SparseForm::slices,
                                              SparseForm::blocks_4x1, SparseForm::blocks_8x1,
                                              SparseForm::blocks_1x4};
struct SparseShape {
  int rows, run;  // of a block
  bool shared;    // one offset for all rows of a stored column
};
constexpr SparseShape shape_of(SparseForm form) {
  switch (form) {
    case SparseForm::slices:
      return {4, 1, false};
    case SparseForm::blocks_4x1:
      return {4, 1, true};
    case SparseForm::blocks_8x1:
      return {8, 1, true};
    case SparseForm::blocks_1x4:
      return {1, 4, true};
    case SparseForm::rows:
      break;
  }
  return {1, 1, true};
}
const char* name_of(SparseForm form);  // "single weights", "4x1 blocks"

struct SparseProduct {
  SparseForm form = SparseForm::rows;
  int64_t outputs = 0;               // the last block may hold fewer than its rows
  const int32_t* starts = nullptr;   // [blocks + 1], into offsets
  const int32_t* offsets = nullptr;  // of each stored column, in elements of x; slices: [..][rows]
  const uint16_t* short_offsets = nullptr;  // slices: in place of offsets where all are below 2^16
  const int32_t* order = nullptr;           // slices: [outputs], the output of each row
  const float* values = nullptr;            // [stored][run][rows]
  const float* bias = nullptr;              // [outputs], or null
  ptrdiff_t run_step = 0;                   // between the inputs of one column
  bool relu = false;
  const float* x = nullptr;
  int64_t positions = 0;  // at q = 0, 1, ... of x and of y; or, where a row is given:
  int64_t row = 0;        // (run 1) positions fall into rows of so many, at least one vector, with
  ptrdiff_t x_row = 0;    // row i at q = i * x_row of x and i * row of y
  float* y = nullptr;
  ptrdiff_t y_step = 0;             // between outputs
  const float* residual = nullptr;  // lies as y does
  bool load_y = false;  // sums go on from what y holds; positions are then one tile, 2 vectors
  int tile = 0;  // vectors at a time at most: fewer where their inputs would leave the first cache
};

// One vector of inputs times blocks of eight outputs, the outputs in the lanes. Blocks are ordered
// by their length, four run side by side; block b gives outputs order[b] * 8 and following.
struct SparseRow {
  int64_t outputs = 0, blocks = 0;
  const int32_t* starts = nullptr;
  const int32_t* columns = nullptr;
  const float* values = nullptr;  // [stored][8]
  const int32_t* order = nullptr;
  const float* bias = nullptr;  // [blocks * 8]
  bool relu = false;
  const float* x = nullptr;
  float* y = nullptr;
};

// The gradient of kept weights: for rows o in [first, last) and the kept columns k of each, in
// order,
//   out[i] (+)= sum over 64 lanes of g[o][lane] * x[k][lane]
struct SparseSampled {
  int64_t first = 0, last = 0;
  const int32_t *starts = nullptr, *columns = nullptr;
  const float *g = nullptr, *x = nullptr;  // [rows][64], [columns][64]
  float* out = nullptr;                    // [kept]
  bool add = false;
};

// Images into zero-padded planes, one for each of some channels, or three, shifted for each tap of
// a row of a filter:
//   y[(i * taps + t) * y_step + head + r * y_row + j] = x[channels[i] * x_step + r * n + j + shift]
// for r < rows, j < n, shift = (t - 1) * step of three taps, else 0; zero where j + shift leaves
// the row. Three taps take y_row == n, a multiple of the lanes. The first `head` elements of a
// plane and `tail` behind its last row become zero too where `edges` says so, all else of it where
// `whole` does (of one tap); otherwise what lies between rows must be zero. Up to a vector behind a
// row and a plane is written.
struct SparsePlanes {
  int64_t count = 0;
  const int32_t* channels = nullptr;  // [count]
  int taps = 1, step = 0;
  int64_t rows = 0, n = 0;
  const float* x = nullptr;
  ptrdiff_t x_step = 0;
  float* y = nullptr;
  ptrdiff_t y_step = 0, y_row = 0, head = 0, tail = 0;
  bool edges = false, whole = false;
};

// Rows of pixels out of a plane: y[i][0:n] = act(x[i][0:n] + residual).
struct SparseCopy {
  int64_t rows = 0, n = 0;
  const float* x = nullptr;
  ptrdiff_t x_step = 0;
  float* y = nullptr;
  ptrdiff_t y_step = 0;
  const float* residual = nullptr;  // lies as y does
  bool relu = false;
};

struct SparseKernels {
  int width;      // lanes of a vector
  int most_step;  // of SparsePlanes
  void (*product)(const SparseProduct&);
  void (*row)(const SparseRow&);
  // Rows into lanes (8, 16, 32 or 64 of them are quickest), and back; x and y lie apart:
  // y[j * lanes + i] = x[i * x_step + j] for i < rows <= lanes, j < columns,
  // y[j * y_step + i] = x[i * lanes + j] for i < rows, j < columns <= lanes.
  void (*to_lanes)(const float* x, int64_t rows, int64_t columns, ptrdiff_t x_step, float* y,
                   int64_t lanes);
  void (*from_lanes)(const float* x, int64_t rows, int64_t columns, int64_t lanes, float* y,
                     ptrdiff_t y_step);
  void (*sampled)(const SparseSampled&);
  void (*planes)(const SparsePlanes&);
  void (*copy)(const SparseCopy&);
  // y[i][j] = x[i][2 * j] for j < n, without residual or act; y becomes zero up to a whole vector.
  void (*every_second)(const SparseCopy&);
  void (*zero)(float* x, int64_t n);  // n a multiple of 16
};

}  // namespace pare::cpu
