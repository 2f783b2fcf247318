// Where a masked matrix keeps its weights, by rows and by columns, in one i32 tensor that ops can
// take as an input:
//   rows, columns, kept, 0 | row starts [rows + 1] | column of each kept weight, row by row
//   | column starts [columns + 1] | row of each kept weight, column by column
#pragma once

#include "core/tensor.h"

namespace pare {

struct SparsePattern {
  int64_t rows, columns, kept;
  const int32_t *row_starts, *row_columns, *column_starts, *column_rows;
};
SparsePattern read_pattern(const int32_t* data);
// Of a u8 mask with 2 axes, on the CPU: 1 keeps.
Tensor make_pattern(const Tensor& mask);

}  // namespace pare
