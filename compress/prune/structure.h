// The shapes in which weights are removed, matched to what kernels can skip.
//
// A weight [out, in, kh, kw] is seen as a matrix of out rows and kh * kw * in columns, in this
// order (autograd/weight_matrix.h): blocks and runs of columns lie along the inputs at one place of
// the window, and go on at the next place where they do not divide the inputs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "autograd/weight_matrix.h"

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

// A weight cut into the blocks of a structure, which are numbered row by row of the matrix; blocks
// one column wide, single elements (those of N:M among them) too, in C order of the weight.
class BlockGrid {
 public:
  // Throws Error{usage} for blocks without extent, and for N:M unless 0 < N < M, of single
  // elements.
  BlockGrid(const Shape& weight, const PruneStructure& structure);

  int64_t rows() const { return matrix_.rows; }
  int64_t columns() const { return matrix_.columns; }
  int64_t blocks() const { return down_ * across_; }
  int64_t across() const { return across_; }  // blocks in a row of them
  int64_t size(int64_t block) const {         // elements in it
    return std::min(block_rows_, rows() - block / across_ * block_rows_) *
           std::min(block_columns_, columns() - block % across_ * block_columns_);
  }
  // The element of the weight, in C order, that stands there in the matrix.
  int64_t element(int64_t row, int64_t column) const {
    return row * columns() + matrix_.offset(column);
  }
  // f(element, block) for all elements in C order.
  template <class F>
  void for_each(F&& f) const {
    for (int64_t r = 0, i = 0; r < rows(); ++r) {
      const int64_t first = r / block_rows_ * across_;
      for (const int64_t b : block_of_) f(i++, first + b);
    }
  }

 private:
  WeightMatrix matrix_;
  int64_t block_rows_, block_columns_, down_, across_;
  std::vector<int64_t> block_of_;  // of each element of a row, within its row of blocks
};

}  // namespace pare
