#include "core/cpu/kernels/row_product.h"
#include "core/cpu/kernels/simd.h"

namespace pare::cpu {
namespace {
namespace rows {

using V = Vec<float>;
constexpr int64_t panel_width = 2 * V::width;

template <int panels>
void row_of_panels(const RowArgs& r, int64_t column) {
  V acc[panels][2];
  for (int p = 0; p < panels; ++p) acc[p][0] = acc[p][1] = V::zero();
  const float* b = r.panels + column * r.depth;
  for (int64_t k = 0; k < r.depth; ++k, b += panel_width) {
    const V x = V::set(r.x[k]);
#pragma GCC unroll 4
    for (int p = 0; p < panels; ++p)
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j)
        acc[p][j] = fma(x, V::load(b + p * r.depth * panel_width + j * V::width), acc[p][j]);
  }
  for (int p = 0; p < panels; ++p)
    for (int j = 0; j < 2; ++j) {
      const int64_t at = column + p * panel_width + j * V::width, left = r.columns - at;
      if (left <= 0) return;
      const int n = left < V::width ? int(left) : V::width;
      V y = acc[p][j] + V::load(r.bias + at, n);
      if (r.residual) y = y + V::load(r.residual + at, n);
      if (r.relu) y = max0(y);
      y.store(r.y + at, n);
    }
}

void product(const RowArgs& r) {
  int64_t left = (r.columns + panel_width - 1) / panel_width, column = 0;
  for (; left >= 4; left -= 4, column += 4 * panel_width) row_of_panels<4>(r, column);
  if (left == 3) row_of_panels<3>(r, column);
  if (left == 2) row_of_panels<2>(r, column);
  if (left == 1) row_of_panels<1>(r, column);
}

}  // namespace rows
}  // namespace
}  // namespace pare::cpu
