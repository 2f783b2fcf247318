// Pooling and the shortcut over plain images (channel by channel), for neighbours of sparse
// convolutions. Sums and maxima run in the order of the nhwc steps, with the same bits.
#include <algorithm>
#include <cstring>

#include "compress/plan/step.h"

namespace pare::plan {
namespace {

// Elements of one channel; an image may have no channels.
int64_t plane(const Shape& image) { return image.elements() / std::max<int64_t>(1, image[1]); }

// A step that treats channels one by one: f(x, y) on one plane each.
template <class F>
class PlaneStep : public Step {
 public:
  PlaneStep(const char* what, const Shape& x, const Shape& y, F f)
      : channels_(x[1]),
        in_(plane(x)),
        out_(plane(y)),
        f_(std::move(f)),
        zeros_((y[1] - x[1]) * out_) {
    kernel = what;
  }
  void run(const Frame& frame, int64_t, int64_t) const override {
    const float* x = frame.of(inputs[0]);
    float* y = frame.of(output);
    for (int64_t i = 0; i < frame.images; ++i) {
      for (int64_t c = 0; c < channels_; ++c, x += in_, y += out_) f_(x, y);
      std::memset(y, 0, size_t(zeros_) * sizeof(float));
      y += zeros_;
    }
  }

 private:
  int64_t channels_, in_, out_;
  F f_;
  int64_t zeros_;  // elements of the output's channels that the input lacks
};
template <class F>
StepPtr per_plane(const char* what, const Shape& x, const Shape& y, F f) {
  return std::make_unique<PlaneStep<F>>(what, x, y, std::move(f));
}

}  // namespace

StepPtr plain_pool_step(Pool kind, const Shape& x, const Shape& y, int64_t kernel, int64_t stride) {
  const int64_t w = x[3], pixels = x[2] * x[3];
  if (kind == Pool::global_average)
    return per_plane("global_avg_pool", x, y, [=](const float* in, float* out) {
      float sum = 0;
      for (int64_t p = 0; p < pixels; ++p) sum += in[p];
      *out = sum / float(pixels);
    });
  const int64_t oh = y[2], ow = y[3];
  // f(window's first element, output) for each window.
  const auto windows = [=](const float* in, float* out, auto f) {
    for (int64_t i = 0; i < oh; ++i)
      for (int64_t j = 0; j < ow; ++j) f(in + (i * w + j) * stride, out++);
  };
  if (kind == Pool::max && kernel == 2 && stride == 2)  // the common case, for vectors
    return per_plane("max_pool2d", x, y, [=](const float* in, float* out) {
      for (int64_t i = 0; i < oh; ++i, in += 2 * w, out += ow)
        for (int64_t j = 0; j < ow; ++j) {
          const float *a = in + 2 * j, *b = a + w;
          const float first = a[1] > a[0] ? a[1] : a[0], second = b[0] > first ? b[0] : first;
          out[j] = b[1] > second ? b[1] : second;
        }
    });
  if (kind == Pool::max)
    return per_plane("max_pool2d", x, y, [=](const float* in, float* out) {
      windows(in, out, [=](const float* from, float* to) {
        float top = *from;
        for (int64_t a = 0; a < kernel; ++a)
          for (int64_t b = 0; b < kernel; ++b) top = from[a * w + b] > top ? from[a * w + b] : top;
        *to = top;
      });
    });
  const float share = 1.0f / float(kernel * kernel);
  return per_plane("avg_pool2d", x, y, [=](const float* in, float* out) {
    windows(in, out, [=](const float* from, float* to) {
      float sum = 0;
      for (int64_t a = 0; a < kernel; ++a)
        for (int64_t b = 0; b < kernel; ++b) sum += from[a * w + b];
      *to = sum * share;
    });
  });
}

StepPtr plain_shortcut_step(const Shape& x, const Shape& y, int64_t stride) {
  const int64_t w = x[3], oh = y[2], ow = y[3];
  return per_plane("shortcut: stride and zero channels", x, y, [=](const float* in, float* out) {
    for (int64_t i = 0; i < oh; ++i)
      for (int64_t j = 0; j < ow; ++j) *out++ = in[(i * w + j) * stride];
  });
}

}  // namespace pare::plan
