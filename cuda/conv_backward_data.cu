// dx[pixel][c] = sum over (a, b, o) of dy[pixels that saw it] w[o][c][a][b].
//
// With a stride s, input pixels fall into s^2 classes by their remainders, and only every s-th tap
// meets a class; the gradient of a class is a convolution of stride 1 with those taps.
#include <numeric>

#include "cuda/conv.h"
#include "cuda/conv_windows.h"
#include "cuda/pack_filters.h"

namespace pare::cuda {
namespace {

// Along one axis, the taps that input positions p = remainder + s i meet, and where: output
// position i + offset + t step for tap first + t every.
struct Taps {
  int64_t positions, first = 0, every, count = 0, offset = 0, step;
  Taps(int64_t size, int64_t taps, int64_t s, int64_t pad, int64_t dilation, int64_t remainder)
      : positions(ceil_div(size - remainder, s)), every(s / std::gcd(s, dilation)) {
    step = -(every * dilation / s);
    while (first < taps && (remainder + pad - first * dilation) % s) ++first;
    if (first >= taps) return;
    count = ceil_div(taps - first, every);
    offset = (remainder + pad - first * dilation) / s;
  }
};

}  // namespace

template <class T>
void conv_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx, bool accumulate,
                        Precision precision) {
  const int in = int(s.c / s.groups), out = int(s.o / s.groups), taps = int(s.kh * s.kw);
  const int64_t stride = s.stride_h;
  for (int64_t cell = 0; cell < stride * stride; ++cell) {
    const int64_t i = cell / stride, j = cell % stride;
    if (i >= s.h || j >= s.w) continue;
    const Taps rows(s.h, s.kh, stride, s.pad_h, s.dilation_h, i);
    const Taps columns(s.w, s.kw, stride, s.pad_w, s.dilation_w, j);
    const int64_t met = rows.count * columns.count;
    if (met == 0 && accumulate) continue;
    WindowGeometry g;
    g.h = int(s.oh), g.w = int(s.ow), g.pixel_stride = int(s.o);
    g.image = extent(s.oh * s.ow * s.o);
    g.pixels = extent(s.n * rows.positions * columns.positions), g.elements = extent(met * out);
    g.grid = Divisor(rows.positions * columns.positions), g.grid_w = Divisor(columns.positions);
    g.channels = Divisor(out), g.taps_w = Divisor(met ? columns.count : 1);
    g.step = 1;
    g.offset_h = int(rows.offset), g.offset_w = int(columns.offset);
    g.tap_step_h = int(rows.step), g.tap_step_w = int(columns.step);
    Filters<T> filters;
    filters.w = w;
    filters.group_step = int64_t(out) * in * taps, filters.row_step = taps;
    filters.channel_step = int64_t(in) * taps;
    filters.rows = in, filters.depth = g.elements;
    filters.first = int(rows.first * s.kw + columns.first);
    filters.tap_step_h = int(rows.every * s.kw), filters.tap_step_w = int(columns.every);
    filters.channels = g.channels, filters.taps_w = g.taps_w;
    const auto packed = packed_filters(filters, s.groups);
    Result<T> result;
    result.c = dx + (i * s.w + j) * s.c, result.m = g.pixels, result.n = in;
    result.group_step = in;
    result.grid = g.grid, result.grid_w = g.grid_w;
    result.image_step = s.h * s.w * s.c;
    result.line_step = stride * s.w * s.c, result.pixel_step = stride * s.c;
    result.accumulate = accumulate;
    with_width<std::is_same_v<T, float>>(vectors_at(dy, out, s.o), [&](auto width) {
      product<Form::tall>(Windows<T, false, width()>{dy, g}, packed, result, g.elements, s.groups,
                          precision);
    });
  }
}

template void conv_backward_data<float>(const ConvShape&, const float*, const float*, float*, bool,
                                        Precision);
template void conv_backward_data<double>(const ConvShape&, const double*, const double*, double*,
                                         bool, Precision);

}  // namespace pare::cuda
