#include "cuda/depthwise.h"

#include "cuda/columns.h"
#include "cuda/pixels.h"

namespace pare::cuda {
namespace {

// The sizes kernels use, 32 bits wide.
struct DepthwiseSizes {
  int c, h, w, kh, kw, oh, ow, stride, pad, dilation;
  PixelGrid input, output;
  explicit DepthwiseSizes(const ConvShape& s)
      : c(int(s.c)),
        h(int(s.h)),
        w(int(s.w)),
        kh(int(s.kh)),
        kw(int(s.kw)),
        oh(int(s.oh)),
        ow(int(s.ow)),
        stride(int(s.stride_h)),
        pad(int(s.pad_h)),
        dilation(int(s.dilation_h)),
        input(h, w, c),
        output(oh, ow, c) {}
};

template <class T>
PARE_KERNEL void forward_kernel(DepthwiseSizes s, const T* x, const T* w, const T* bias, bool relu,
                                T* y, int64_t elements) {
  for (int64_t e = global_x(); e < elements; e += grid_threads()) {
    const Pixel p = s.output.of_element(e);
    T sum = T(0);
    for (int a = 0; a < s.kh; ++a)
      for (int b = 0; b < s.kw; ++b) {
        const int i = p.i * s.stride - s.pad + a * s.dilation;
        const int j = p.j * s.stride - s.pad + b * s.dilation;
        if (i < 0 || i >= s.h || j < 0 || j >= s.w) continue;
        sum = fma(x[((p.image * s.h + i) * s.w + j) * s.c + p.c], w[(p.c * s.kh + a) * s.kw + b],
                  sum);
      }
    if (bias) sum = sum + bias[p.c];
    y[e] = relu && sum < T(0) ? T(0) : sum;
  }
}

// Each input pixel gathers from the outputs whose windows hold it.
template <class T>
PARE_KERNEL void data_gradient_kernel(DepthwiseSizes s, const T* dy, const T* w, T* dx,
                                      bool accumulate, int64_t elements) {
  for (int64_t e = global_x(); e < elements; e += grid_threads()) {
    const Pixel p = s.input.of_element(e);
    T sum = T(0);
    for (int a = 0; a < s.kh; ++a)
      for (int b = 0; b < s.kw; ++b) {
        const int i = p.i + s.pad - a * s.dilation, j = p.j + s.pad - b * s.dilation;
        if (i < 0 || j < 0 || i % s.stride || j % s.stride) continue;
        if (i / s.stride >= s.oh || j / s.stride >= s.ow) continue;
        sum = fma(dy[((p.image * s.oh + i / s.stride) * s.ow + j / s.stride) * s.c + p.c],
                  w[(p.c * s.kh + a) * s.kw + b], sum);
      }
    dx[e] = accumulate ? dx[e] + sum : sum;
  }
}

// dw as column sums: a column is a tap and a channel, rows are the output's pixels.
template <class T>
struct ReadProducts {
  using State = Sums<T, 1>;
  DepthwiseSizes s;
  const T *x, *dy;
  PARE_DEVICE void add(State& state, int64_t pixel, int64_t column) const {
    const int tap = int(column) / s.c, c = int(column) - tap * s.c;
    const Pixel p = s.output.of_pixel(pixel);
    const int i = p.i * s.stride - s.pad + tap / s.kw * s.dilation;
    const int j = p.j * s.stride - s.pad + tap % s.kw * s.dilation;
    if (i < 0 || i >= s.h || j < 0 || j >= s.w) return;
    state.v[0] = fma(x[((p.image * s.h + i) * s.w + j) * s.c + c], dy[pixel * s.c + c], state.v[0]);
  }
};
template <class T>
struct PutWeight {
  int c, taps;
  T* dw;
  bool accumulate;
  PARE_DEVICE void operator()(int64_t, int64_t column, const Sums<T, 1>& sum) const {
    T* to = dw + (column % c) * taps + column / c;
    *to = accumulate ? *to + sum.v[0] : sum.v[0];
  }
};

}  // namespace

template <class T>
void depthwise_forward(const ConvShape& s, const T* x, const T* w, const T* bias, bool relu, T* y) {
  const int64_t elements = s.n * s.oh * s.ow * s.c;
  launch_over(forward_kernel<T>, elements, DepthwiseSizes(s), x, w, bias, relu, y, elements);
}
template <class T>
void depthwise_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx, bool accumulate) {
  const int64_t elements = s.n * s.h * s.w * s.c;
  launch_over(data_gradient_kernel<T>, elements, DepthwiseSizes(s), dy, w, dx, accumulate,
              elements);
}
template <class T>
void depthwise_backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw,
                               bool accumulate) {
  over_columns(ReadProducts<T>{DepthwiseSizes(s), x, dy},
               PutWeight<T>{int(s.c), int(s.kh * s.kw), dw, accumulate}, s.n * s.oh * s.ow,
               s.kh * s.kw * s.c);
}

#define PARE_INSTANTIATE(T)                                                                     \
  template void depthwise_forward<T>(const ConvShape&, const T*, const T*, const T*, bool, T*); \
  template void depthwise_backward_data<T>(const ConvShape&, const T*, const T*, T*, bool);     \
  template void depthwise_backward_weight<T>(const ConvShape&, const T*, const T*, T*, bool);
PARE_INSTANTIATE(float)
PARE_INSTANTIATE(double)
#undef PARE_INSTANTIATE

}  // namespace pare::cuda
