// What the directions of conv2d (cuda/conv.h) share: the windows of its images as an operand.
#pragma once

#include "core/conv_shape.h"
#include "cuda/product.h"

namespace pare::cuda {

// Calls f(std::integral_constant<int, 4>) where four elements may move at once, else with 1.
template <bool possible, class F>
void with_width(bool vectors, F&& f) {
  if constexpr (possible)
    if (vectors) return f(std::integral_constant<int, 4>{});
  f(std::integral_constant<int, 1>{});
}

inline WindowGeometry windows_of(const ConvShape& s) {
  const int64_t in = s.c / s.groups;
  WindowGeometry g;
  g.h = int(s.h), g.w = int(s.w), g.pixel_stride = int(s.c);
  g.image = extent(s.h * s.w * s.c);
  g.pixels = extent(s.n * s.oh * s.ow), g.elements = extent(s.kh * s.kw * in);
  g.grid = Divisor(s.oh * s.ow), g.grid_w = Divisor(s.ow);
  g.channels = Divisor(in), g.taps_w = Divisor(s.kw);
  g.step = int(s.stride_h);
  g.offset_h = g.offset_w = -int(s.pad_h);
  g.tap_step_h = g.tap_step_w = int(s.dilation_h);
  return g;
}

}  // namespace pare::cuda
