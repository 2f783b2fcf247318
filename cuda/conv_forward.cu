// y[pixel][o] = sum over (a, b, c) of x[window of pixel] w[o][c][a][b].
#include "cuda/conv.h"
#include "cuda/conv_windows.h"
#include "cuda/pack_filters.h"

namespace pare::cuda {

template <class T>
void conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, bool relu, T* y,
                  Precision precision) {
  const int in = int(s.c / s.groups), out = int(s.o / s.groups), taps = int(s.kh * s.kw);
  const WindowGeometry g = windows_of(s);
  Filters<T> filters;
  filters.w = w;
  filters.group_step = int64_t(out) * in * taps, filters.row_step = int64_t(in) * taps;
  filters.channel_step = taps;
  filters.rows = out, filters.depth = g.elements;
  filters.first = 0, filters.tap_step_h = int(s.kw), filters.tap_step_w = 1;
  filters.channels = g.channels, filters.taps_w = g.taps_w;
  const auto packed = packed_filters(filters, s.groups);
  Result<T> result;
  result.c = y, result.m = g.pixels, result.n = out;
  result.group_step = out, result.pixel_step = s.o;
  result.bias = bias, result.relu = relu;
  with_width<std::is_same_v<T, float>>(vectors_at(x, in, s.c), [&](auto width) {
    product<Form::tall>(Windows<T, false, width()>{x, g}, packed, result, g.elements, s.groups,
                        precision);
  });
}

template void conv_forward<float>(const ConvShape&, const float*, const float*, const float*, bool,
                                  float*, Precision);
template void conv_forward<double>(const ConvShape&, const double*, const double*, const double*,
                                   bool, double*, Precision);

}  // namespace pare::cuda
