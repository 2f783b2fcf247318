// Kernel rows of conv2d as implicit matrix products on nhwc images and oihw filters:
//   forward         y[pixel][o]      = sum over (a, b, c) of x[window of pixel] w[o][c][a][b]
//   data gradient   dx[pixel][c]     = sum over (a, b, o) of dy[pixels that saw it] w[o][c][a][b]
//   weight gradient dw[o][(a, b, c)] = sum over pixels of dy[pixel][o] x[window of pixel]
// With a stride s, input pixels fall into s^2 classes by their remainders, and only every s-th tap
// meets a class; the gradient of a class is a convolution of stride 1 with those taps.
#include <iterator>
#include <numeric>

#include "cuda/depthwise.h"
#include "cuda/masked_sums.h"
#include "cuda/product.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

// Calls f(std::integral_constant<int, 4>) where four elements may move at once, else with 1.
template <class T, class F>
void with_width(bool vectors, F&& f) {
  if constexpr (std::is_same_v<T, float>)
    if (vectors) return f(std::integral_constant<int, 4>{});
  f(std::integral_constant<int, 1>{});
}

WindowGeometry windows_of(const ConvShape& s) {
  const int64_t in = s.c / s.groups;
  WindowGeometry g;
  g.h = int(s.h), g.w = int(s.w), g.pixel_stride = int(s.c);
  g.pixels = extent(s.n * s.oh * s.ow), g.elements = extent(s.kh * s.kw * in);
  g.grid = Divisor(s.oh * s.ow), g.grid_w = Divisor(s.ow);
  g.channels = Divisor(in), g.taps_w = Divisor(s.kw);
  g.step = int(s.stride_h);
  g.offset_h = g.offset_w = -int(s.pad_h);
  g.tap_step_h = g.tap_step_w = int(s.dilation_h);
  return g;
}

template <class T>
void conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, bool relu, T* y,
                  Precision precision) {
  const int in = int(s.c / s.groups), out = int(s.o / s.groups), taps = int(s.kh * s.kw);
  const WindowGeometry g = windows_of(s);
  Filters<T, false> filters;
  filters.w = w;
  filters.group_step = int64_t(out) * in * taps, filters.row_step = int64_t(in) * taps;
  filters.channel_step = taps;
  filters.rows = out, filters.depth = g.elements;
  filters.first = 0, filters.tap_step_h = int(s.kw), filters.tap_step_w = 1;
  filters.channels = g.channels, filters.taps_w = g.taps_w;
  Result<T> result;
  result.c = y, result.m = g.pixels, result.n = out;
  result.group_step = out, result.pixel_step = s.o;
  result.bias = bias, result.relu = relu;
  with_width<T>(vectors_at(x, in, s.c), [&](auto width) {
    product<Form::tall>(Windows<T, false, width()>{x, g}, filters, result, g.elements, s.groups,
                        precision);
  });
}

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
    g.pixels = extent(s.n * rows.positions * columns.positions), g.elements = extent(met * out);
    g.grid = Divisor(rows.positions * columns.positions), g.grid_w = Divisor(columns.positions);
    g.channels = Divisor(out), g.taps_w = Divisor(met ? columns.count : 1);
    g.step = 1;
    g.offset_h = int(rows.offset), g.offset_w = int(columns.offset);
    g.tap_step_h = int(rows.step), g.tap_step_w = int(columns.step);
    Filters<T, true> filters;
    filters.w = w;
    filters.group_step = int64_t(out) * in * taps, filters.row_step = taps;
    filters.channel_step = int64_t(in) * taps;
    filters.rows = in, filters.depth = g.elements;
    filters.first = int(rows.first * s.kw + columns.first);
    filters.tap_step_h = int(rows.every * s.kw), filters.tap_step_w = int(columns.every);
    filters.channels = g.channels, filters.taps_w = g.taps_w;
    Result<T> result;
    result.c = dx + (i * s.w + j) * s.c, result.m = g.pixels, result.n = in;
    result.group_step = in;
    result.grid = g.grid, result.grid_w = g.grid_w;
    result.image_step = s.h * s.w * s.c;
    result.line_step = stride * s.w * s.c, result.pixel_step = stride * s.c;
    result.accumulate = accumulate;
    with_width<T>(vectors_at(dy, out, s.o), [&](auto width) {
      product<Form::tall>(Windows<T, false, width()>{dy, g}, filters, result, g.elements, s.groups,
                          precision);
    });
  }
}

template <class T>
void conv_backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw, bool accumulate,
                          Precision precision) {
  const int in = int(s.c / s.groups), out = int(s.o / s.groups), taps = int(s.kh * s.kw);
  const WindowGeometry g = windows_of(s);
  Result<T> result;
  result.c = dw, result.m = out, result.n = g.elements;
  result.group_step = int64_t(out) * g.elements, result.pixel_step = g.elements;
  result.inner = g.channels, result.outer_step = 1, result.inner_step = taps;
  result.accumulate = accumulate;
  with_width<T>(vectors_at(dy, out, s.o), [&](auto width_dy) {
    with_width<T>(vectors_at(x, in, s.c), [&](auto width_x) {
      product<Form::wide>(Matrix<T, true, width_dy()>{dy, s.o, out, g.pixels, out},
                          Windows<T, true, width_x()>{x, g}, result, g.pixels, s.groups, precision);
    });
  });
}

Status forward(const KernelArgs& args) {
  const TensorArg& y = args.outputs[0];
  if (y.elements == 0) return Status::ok;
  return for_float(y.dtype, [&]<class T>(T) {
    const ConvShape s = conv_shape(args, y);
    const T *x = args.inputs[0].as<T>(), *w = args.inputs[1].as<T>();
    const T* bias = args.input_count > 2 ? args.inputs[2].as<T>() : nullptr;
    const bool relu = args.attrs->integer("relu");
    if (is_depthwise(s))
      depthwise_forward(s, x, w, bias, relu, y.as<T>());
    else
      conv_forward(s, x, w, bias, relu, y.as<T>(), args.precision);
  });
}

Status backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], *grads = args.grad_inputs;
  return for_float(dy.dtype, [&]<class T>(T) {
    const ConvShape s = conv_shape(args, dy);
    const T *x = args.inputs[0].as<T>(), *w = args.inputs[1].as<T>();
    const T* y = args.attrs->integer("relu") ? args.outputs[0].as<T>() : nullptr;
    const bool bias = args.input_count > 2;
    const T* g = unmask(dy.as<T>(), y, s.n * s.oh * s.ow, s.o, bias ? grads[2].as<T>() : nullptr,
                        bias && args.accumulate[2]);
    T *dx = grads[0].as<T>(), *dw = grads[1].as<T>();
    const bool add_dx = args.accumulate[0], add_dw = args.accumulate[1];
    if (is_depthwise(s)) {
      if (dx) depthwise_backward_data(s, g, w, dx, add_dx);
      if (dw) depthwise_backward_weight(s, x, g, dw, add_dw);
    } else {
      if (dx) conv_backward_data(s, g, w, dx, add_dx, args.precision);
      if (dw) conv_backward_weight(s, x, g, dw, add_dw, args.precision);
    }
  });
}

constexpr KernelRow rows[] = {{"conv2d.forward", 1, guarded<forward>},
                              {"conv2d.backward", 1, guarded<backward>}};

}  // namespace

KernelList conv_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
