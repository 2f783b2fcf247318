#include "core/sparse_pattern.h"

#include <vector>

#include "core/error.h"

namespace pare {

SparsePattern read_pattern(const int32_t* p) {
  SparsePattern s{};
  s.rows = p[0], s.columns = p[1], s.kept = p[2];
  s.row_starts = p + 4;
  s.row_columns = s.row_starts + s.rows + 1;
  s.column_starts = s.row_columns + s.kept;
  s.column_rows = s.column_starts + s.columns + 1;
  return s;
}

Tensor make_pattern(const Tensor& mask) {
  check(mask.rank() == 2 && mask.dtype() == DType::u8,
        "a pattern is made of a u8 matrix, not {} {}", mask.dtype(), mask.shape());
  const int64_t rows = mask.size(0), columns = mask.size(1);
  const uint8_t* keep = mask.data<uint8_t>();
  std::vector<int32_t> by_row, by_column, row_starts{0}, column_starts{0};
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      if (keep[i * columns + j]) by_row.push_back(int32_t(j));
    row_starts.push_back(int32_t(by_row.size()));
  }
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i)
      if (keep[i * columns + j]) by_column.push_back(int32_t(i));
    column_starts.push_back(int32_t(by_column.size()));
  }
  std::vector<int32_t> all{int32_t(rows), int32_t(columns), int32_t(by_row.size()), 0};
  for (const auto* part : {&row_starts, &by_row, &column_starts, &by_column})
    all.insert(all.end(), part->begin(), part->end());
  return Tensor::from(all, {int64_t(all.size())});
}

}  // namespace pare
