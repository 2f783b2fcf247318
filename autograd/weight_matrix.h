// A weight [out, in, window...] as the matrix that structures of pruning and codes of masks see: a
// row for each output, in which the inputs lie side by side at each place of the window (out, kh,
// kw, in). That is the order in which a convolution sums its products, so that neighbours in a row
// are neighbours in a product.
#pragma once

#include <algorithm>

#include "core/shape.h"

namespace pare {

struct WeightMatrix {
  int64_t rows, columns;
  int64_t places;  // of the window: 1 for a dense layer
  int64_t inputs;  // at each

  // A shape of one axis is a column; an empty one has no columns.
  explicit WeightMatrix(const Shape& shape)
      : rows(shape.rank() > 0 ? shape[0] : 1),
        columns(shape.elements() / std::max<int64_t>(1, rows)),
        places(1),
        inputs(std::max<int64_t>(1, columns)) {
    for (int axis = 2; axis < shape.rank() && columns > 0; ++axis) places *= shape[axis];
    inputs /= places;
  }

  // Where the elements of a row, which lie in C order, stand in the matrix, and back.
  int64_t column(int64_t offset) const { return offset % places * inputs + offset / places; }
  int64_t offset(int64_t column) const { return column % inputs * places + column / inputs; }
};

}  // namespace pare
