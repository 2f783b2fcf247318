// dw[o][(a, b, c)] = sum over pixels of dy[pixel][o] x[window of pixel].
#include "cuda/conv.h"
#include "cuda/conv_windows.h"

namespace pare::cuda {

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
  // First layers have one or three channels beside many filters; the reverse is not compiled.
  with_width<std::is_same_v<T, float>>(vectors_at(dy, out, s.o), [&](auto width_dy) {
    with_width<width_dy() == 4>(vectors_at(x, in, s.c), [&](auto width_x) {
      product<Form::wide>(Matrix<T, true, width_dy()>{dy, s.o, out, g.pixels, out},
                          Windows<T, true, width_x()>{x, g}, result, g.pixels, s.groups, precision);
    });
  });
}

template void conv_backward_weight<float>(const ConvShape&, const float*, const float*, float*,
                                          bool, Precision);
template void conv_backward_weight<double>(const ConvShape&, const double*, const double*, double*,
                                           bool, Precision);

}  // namespace pare::cuda
