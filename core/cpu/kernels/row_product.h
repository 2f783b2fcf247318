// One row times packed panels: the product of a dense layer at batch 1. Several panels run side by
// side, for one alone would wait for its own additions; each output is summed as the register tile
// (core/cpu/kernels/matrix_tile.h) sums it, with the same bits.
#pragma once

#include <cstdint>

namespace pare::cpu {

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

}  // namespace pare::cpu
