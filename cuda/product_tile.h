// Kernels of matrix products: one block computes one tile of C = A B^T, step by step along the
// depth through two tiles of shared memory, of which one is filled while the other is used.
//
// This is what two bodies share: multiply-adds (cuda/product_registers.h) and tensor cores
// (cuda/product_tensor.h). Every element is a sum in order of depth; where the depth is split,
// parts go to scratch and a second kernel adds them in order: the bits depend on the shape alone.
#pragma once

#include "cuda/operands.h"

namespace pare::cuda {

// Where element (row, column) of a product goes, and what happens to it on the way:
//   c[at] = act((accumulate ? c[at] : 0) + value + bias[group][column]).
// Rows are pixels (n, i, j) of a grid, columns pairs (a, b); a plain matrix has one of each but the
// last.
template <class T>
struct Result {
  T* c = nullptr;
  int m = 0, n = 0;
  int64_t group_step = 0;
  Divisor grid{Divisor::none}, grid_w{Divisor::none};
  int64_t image_step = 0, line_step = 0, pixel_step = 0;
  Divisor inner{Divisor::none};
  int64_t outer_step = 0, inner_step = 1;
  const T* bias = nullptr;
  bool relu = false, accumulate = false;

  PARE_DEVICE int64_t row_offset(int row) const {
    const int image = grid.quotient(row), rest = row - image * grid.value;
    const int i = grid_w.quotient(rest), j = rest - i * grid_w.value;
    return image * image_step + i * line_step + j * pixel_step;
  }
  PARE_DEVICE int64_t column_offset(int column) const {
    const int a = inner.quotient(column), b = column - a * inner.value;
    return a * outer_step + b * inner_step;
  }
  // The element at `to`; `shift` points to its bias, or is null.
  PARE_DEVICE void put(T* to, T value, const T* shift) const {
    if (accumulate) value = *to + value;
    if (shift) value = value + *shift;
    *to = relu && value < T(0) ? T(0) : value;
  }
};

// The depth in `parts` of `part` each (a multiple of the tile's depth); parts of m x n elements
// (per group) in scratch where there are several.
template <class T>
struct Split {
  int depth, part, parts;
  T* sums;
};

// What a block computes: its rows, columns, group and part of the depth.
struct Block {
  int row, column, group, part, begin, end;
  template <class Tile, class T>
  PARE_DEVICE static Block of(Tile, const Result<T>& result, const Split<T>& split) {
    // Blocks that share rows of A run side by side.
    const int across = (result.n + Tile::columns - 1) / Tile::columns;
    const int row = block_x() / across;
    const int begin = block_z() * split.part;
    const int end = split.depth - begin > split.part ? begin + split.part : split.depth;
    return {row * Tile::rows,
            (block_x() - row * across) * Tile::columns,
            block_y(),
            block_z(),
            begin,
            end};
  }
};
// Hands the sums of a thread on, which has `count` columns: to the result, or as they are to their
// part in scratch. Its columns are named first; where one lies is worked out once, not for every
// row.
template <class T, int count>
struct Writer {
  const Result<T>& result;
  bool whole;
  T *base, *row = nullptr;
  const T* bias;
  int columns[count];
  int64_t offsets[count];

  PARE_DEVICE Writer(const Result<T>& to, const Split<T>& split, const Block& block)
      : result(to), whole(split.parts == 1) {
    const int64_t part = int64_t(block.part) * grid_height() + block.group;
    base = whole ? to.c + block.group * to.group_step : split.sums + part * to.m * to.n;
    bias = to.bias ? to.bias + int64_t(block.group) * to.n : nullptr;
  }
  PARE_DEVICE void set_column(int j, int column) {
    columns[j] = column;
    offsets[j] = whole ? result.column_offset(column) : column;
  }
  PARE_DEVICE void start_row(int r) {
    row = r >= result.m ? nullptr : base + (whole ? result.row_offset(r) : int64_t(r) * result.n);
  }
  PARE_DEVICE void put(int j, T value) const {
    if (!row || columns[j] >= result.n) return;
    if (whole)
      result.put(row + offsets[j], value, bias ? bias + columns[j] : nullptr);
    else
      row[offsets[j]] = value;
  }
};

// One operand's next tile on its way: memory, registers, shared memory. Neighbouring threads take
// what is neighbouring in memory, a whole line of the tile; or only 32 bytes of it (sectors), which
// is what memory moves at least, where whole lines would store into few banks.
template <class Source, int rows, int depth, int threads, bool sectors>
struct Stage {
  using T = typename Source::Element;
  static constexpr int width = Source::width, vectors = rows * depth / width;
  static constexpr int count = (vectors + threads - 1) / threads;
  static constexpr int line = (Source::across ? rows : depth) / width;
  static constexpr int piece = sectors && Source::across ? 8 / width : line;
  // Whether a thread's vectors of a step have one depth.
  static constexpr bool one_depth =
      threads % (Source::across ? piece * depth : line) == 0 && vectors % threads == 0;
  const Source& source;
  typename Source::Place places[count];
  Vector<T, width> held[count] = {};

  PARE_DEVICE static int vector(int i) { return thread_x() + i * threads; }
  PARE_DEVICE static int row_of(int v) {
    return Source::across ? (v / (piece * depth) * piece + v % piece) * width : v / line;
  }
  PARE_DEVICE static int depth_of(int v) {
    return Source::across ? v / piece % depth : v % line * width;
  }

  PARE_DEVICE Stage(const Source& s, int first_row, int group) : source(s) {
    PARE_UNROLL
    for (int i = 0; i < count; ++i) places[i] = source.place(first_row + row_of(vector(i)), group);
  }
  PARE_DEVICE void fetch(int k) {
    if constexpr (one_depth) {
      const auto at = source.at(k + depth_of(vector(0)));
      PARE_UNROLL
      for (int i = 0; i < count; ++i) held[i] = source.fetch(places[i], at);
    } else {
      PARE_UNROLL
      for (int i = 0; i < count; ++i)
        if (vectors % threads == 0 || vector(i) < vectors)
          held[i] = source.fetch(places[i], source.at(k + depth_of(vector(i))));
    }
  }
  // put(row, depth, vector) for what this thread holds.
  template <class Put>
  PARE_DEVICE void store(Put&& put) const {
    PARE_UNROLL
    for (int i = 0; i < count; ++i)
      if (vectors % threads == 0 || vector(i) < vectors)
        put(row_of(vector(i)), depth_of(vector(i)), held[i]);
  }
};

// Steps through the depth: store(buffer) and use(buffer) see each tile in turn. One barrier a step:
// who stores into a buffer has passed the barrier behind its last use.
template <int depth, class A, class B, class Store, class Use>
PARE_DEVICE inline void over_depth(const Block& block, A& a, B& b, Store&& store, Use&& use) {
  if (block.begin >= block.end) return;
  a.fetch(block.begin);
  b.fetch(block.begin);
  int buffer = 0;
  for (int k = block.begin; k < block.end; k += depth) {
    store(buffer);
    barrier();
    if (k + depth < block.end) {
      a.fetch(k + depth);
      b.fetch(k + depth);
    }
    use(buffer);
    buffer ^= 1;
  }
}

}  // namespace pare::cuda
