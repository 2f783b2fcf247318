// The shapes in which weights are removed, matched to what kernels can skip.
//
// A weight [out, in, ...] is seen as a matrix of out rows and in * ... columns.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/shape.h"

namespace pare {

struct PruneStructure {
  int rows = 1, columns = 1;  // blocks that are kept or removed whole; smaller at the edges
  int keep = 0, of = 0;       // N:M: of every M columns in a row the N best stay; 0: not so

  bool is_n_of_m() const { return of > 0; }
  // "unstructured", "4x1" (rows x columns), "2:4".
  std::string name() const;
};
// Throws Error{usage} for what is none: RxC with 1..64 each, N:M with 0 < N < M <= 32.
PruneStructure parse_structure(const std::string& text);

// A weight cut into the blocks of a structure, which are numbered in C order. N:M has single
// elements.
class BlockGrid {
 public:
  BlockGrid() = default;
  // Throws Error{usage} for blocks without extent, and for N:M unless 0 < N < M, of single
  // elements.
  BlockGrid(const Shape& weight, const PruneStructure& structure);

  int64_t rows() const { return rows_; }  // of the weight as a matrix
  int64_t columns() const { return columns_; }
  int64_t blocks() const { return down_ * across_; }
  int64_t across() const { return across_; }  // blocks in a row of them
  int64_t size(int64_t block) const {         // elements in it
    return std::min(block_rows_, rows_ - block / across_ * block_rows_) *
           std::min(block_columns_, columns_ - block % across_ * block_columns_);
  }
  // f(element, block) for all elements in C order.
  template <class F>
  void for_each(F&& f) const {
    for (int64_t r = 0, i = 0; r < rows_; ++r)
      for (int64_t b = r / block_rows_ * across_, c = 0; c < columns_; ++b)
        for (const int64_t end = std::min(columns_, c + block_columns_); c < end; ++c) f(i++, b);
  }

 private:
  int64_t rows_ = 0, columns_ = 0, block_rows_ = 1, block_columns_ = 1, down_ = 0, across_ = 0;
};

}  // namespace pare
