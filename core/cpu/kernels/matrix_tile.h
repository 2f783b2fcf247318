// The table of the matrix kernels of one instruction set: everything dense runs on one register
// tile.
//
//   C[r][0:columns] = bias + (load_c ? C : 0) + sum over segments s, k < run of
//                     A(r, offsets[s] + k) * B[s * run + k][0:columns]  (+ residual)
//
// with A(r, k) = a_rows[r][k] (rows by pointer: images, row-major matrices) or a[r + k * a_step]
// (transposed: rows adjacent, k strided). B is a packed panel of panel_width columns, zero-padded.
// GEMM has one segment; a convolution has one per kernel row; a weight gradient one per image row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pare::cpu {

template <class T>
struct TileArgs {
  const T* const* a_rows = nullptr;  // or:
  const T* a = nullptr;
  ptrdiff_t a_step = 0;
  int segments = 1;
  const ptrdiff_t* offsets = nullptr;  // per segment, in elements, added to the rows
  int64_t run = 0;
  const T* b = nullptr;
  T* c = nullptr;
  ptrdiff_t c_stride = 0;
  int columns = 0;  // <= panel_width
  bool load_c = false;
  const T* bias = nullptr;
  const T* residual = nullptr;  // added after the bias; lies as C does
  bool relu = false;
};

template <class T>
struct MatrixKernels {
  int tile_rows;                               // at most so many rows a call,
  int narrow_rows;                             // transposed, columns in one vector: these
  int panel_width;                             // columns of a packed panel
  void (*tile)(int rows, const TileArgs<T>&);  // A by row pointers
  void (*tile_transposed)(int rows, const TileArgs<T>&);  // A transposed
  // Packs columns [0, columns) of B into a panel: from b[k * ld + j], or from b[j * ld + k].
  void (*pack)(const T* b, ptrdiff_t ld, int64_t depth, int columns, T* panel);
  void (*pack_transposed)(const T* b, ptrdiff_t ld, int64_t depth, int columns, T* panel);
};

}  // namespace pare::cpu
