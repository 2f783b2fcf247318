// Pooling and the shortcut over plain images (channel by channel), for neighbours of sparse
// convolutions. Sums and maxima run in the order of the nhwc steps, with the same bits.
#include <algorithm>
#include <cstring>

#include "compress/plan/step.h"
#include "core/cpu/kernels/kernels.h"

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

class PlaneMeans : public Step {
 public:
  explicit PlaneMeans(const Shape& x) : channels_(x[1]), pixels_(plane(x)) {
    kernel = "global_avg_pool";
  }
  void run(const Frame& frame, int64_t, int64_t) const override {
    loops_.plane_means(frame.of(inputs[0]), frame.images * channels_, pixels_, frame.of(output));
  }

 private:
  const cpu::Loops<float>& loops_ = cpu::loops<float>();
  int64_t channels_, pixels_;
};

}  // namespace

StepPtr plain_pool_step(Pool kind, const Shape& x, const Shape& y, int64_t kernel, int64_t stride) {
  const cpu::Loops<float>& loops = cpu::loops<float>();
  if (kind == Pool::global_average) return std::make_unique<PlaneMeans>(x);
  const int64_t w = x[3], oh = y[2], ow = y[3];
  if (kind == Pool::max && kernel == 2 && stride == 2)  // the common case: rows of few windows
    return per_plane("max_pool2d", x, y, [=](const float* in, float* out) {
      const auto larger = [](float v, float top) {
        const float most = v > top ? v : top;
        return v != v ? v : most;  // NaN of either stays
      };
      for (int64_t i = 0; i < oh; ++i, in += 2 * w, out += ow)
        for (int64_t j = 0; j < ow; ++j) {
          const float *a = in + 2 * j, *b = a + w;
          out[j] = larger(b[1], larger(b[0], larger(a[1], a[0])));
        }
    });
  if (kind == Pool::max)
    return per_plane("max_pool2d", x, y, [=, &loops](const float* in, float* out) {
      for (int64_t i = 0; i < oh; ++i)
        loops.max_plane_row(in + i * stride * w, w, kernel, stride, ow, out + i * ow);
    });
  const float share = 1.0f / float(kernel * kernel);
  return per_plane("avg_pool2d", x, y, [=, &loops](const float* in, float* out) {
    for (int64_t i = 0; i < oh; ++i)
      loops.sum_plane_row(in + i * stride * w, w, kernel, stride, ow, share, out + i * ow);
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
