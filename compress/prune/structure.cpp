#include "compress/prune/structure.h"

#include <charconv>

#include "core/error.h"

namespace pare {

std::string PruneStructure::name() const {
  if (is_n_of_m()) return message("{}:{}", keep, of);
  return rows == 1 && columns == 1 ? "unstructured" : message("{}x{}", rows, columns);
}

PruneStructure parse_structure(const std::string& text) {
  if (text == "unstructured") return {};
  const size_t mark = text.find_first_of("x:");
  int first = 0, second = 0;
  const auto number = [&](size_t begin, size_t end, int& value) {
    const auto r = std::from_chars(text.data() + begin, text.data() + end, value);
    return r.ec == std::errc() && r.ptr == text.data() + end;
  };
  const bool numbers =
      mark != std::string::npos && number(0, mark, first) && number(mark + 1, text.size(), second);
  if (numbers && text[mark] == 'x' && std::min(first, second) >= 1 && std::max(first, second) <= 64)
    return {.rows = first, .columns = second};
  if (numbers && text[mark] == ':' && first >= 1 && first < second && second <= 32)
    return {.keep = first, .of = second};
  fail(ErrorCode::usage,
       "'{}' is no structure: unstructured, blocks of rows x columns (4x1, 8x1, 1x4) or N:M (2:4)",
       text);
}

namespace {

const PruneStructure& checked(const PruneStructure& s) {
  check(s.rows >= 1 && s.columns >= 1, "a structure of {}x{} blocks, expected at least 1x1", s.rows,
        s.columns);
  check(
      (s.keep == 0 && s.of == 0) || (0 < s.keep && s.keep < s.of && s.rows == 1 && s.columns == 1),
      "a structure that keeps {} of every {} in {}x{} blocks, expected 0 < N < M of single ones",
      s.keep, s.of, s.rows, s.columns);
  return s;
}

}  // namespace

BlockGrid::BlockGrid(const Shape& weight, const PruneStructure& structure)
    : matrix_(weight),
      block_rows_(checked(structure).rows),
      block_columns_(structure.columns),
      down_((rows() + block_rows_ - 1) / block_rows_),
      across_((columns() + block_columns_ - 1) / block_columns_) {
  for (int64_t i = 0; i < columns(); ++i)
    block_of_.push_back(block_columns_ == 1 ? i : matrix_.column(i) / block_columns_);
}

}  // namespace pare
