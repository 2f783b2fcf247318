// One row times packed panels: the product of a dense layer at batch 1. Several panels run side by
// side, for one alone would wait for its own additions; each output is summed as the register tile
// (core/cpu/matrix_tile.h) sums it, with the same bits.
#pragma once

#include <cstdint>

namespace pare::plan {

struct RowArgs {
  const float* x;
  const float* panels;  // [columns / panel_width][depth][panel_width]
  int64_t depth, columns;
  const float* bias;
  const float* residual;  // or null
  bool relu;
  float* y;
};
using RowProduct = void (*)(const RowArgs&);
void row_product_scalar(const RowArgs&);
void row_product_avx2(const RowArgs&);
void row_product_avx512(const RowArgs&);
RowProduct row_product();  // that of current_isa()

}  // namespace pare::plan
