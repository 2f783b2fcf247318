// Steps without weights, over nhwc images: pooling, sums, ReLU, the shortcut, layout changes.
#include <cstring>

#include "compress/plan/step.h"
#include "core/cpu/kernels/kernels.h"

namespace pare::plan {
namespace {

// A step that treats images one by one through a function object.
template <class F>
class ImageStep : public Step {
 public:
  explicit ImageStep(F f, const char* what) : f_(std::move(f)) { kernel = what; }
  void run(const Frame& frame, int64_t, int64_t) const override {
    for (int64_t i = 0; i < frame.images; ++i) f_(*this, frame, i);
  }

 private:
  F f_;
};
template <class F>
StepPtr per_image(const char* what, F f) {
  return std::make_unique<ImageStep<F>>(std::move(f), what);
}

// Mean of kernel x kernel runs of c channels, rows `row` apart.
void average(const float* x, int64_t kh, int64_t kw, int64_t row, int64_t c, float* y) {
  for (int64_t k = 0; k < c; ++k) y[k] = 0;
  for (int64_t a = 0; a < kh; ++a)
    for (int64_t b = 0; b < kw; ++b)
      for (int64_t k = 0; k < c; ++k) y[k] += x[a * row + b * c + k];
}

}  // namespace

StepPtr pool_step(Pool kind, const Shape& x, const Shape& y, int64_t kernel, int64_t stride) {
  const int64_t c = x[1], h = x[2], w = x[3], in = c * h * w, out = y.elements();
  if (kind == Pool::global_average)
    return per_image("global_avg_pool", [=](const Step& s, const Frame& f, int64_t i) {
      float* to = f.of(s.output) + i * c;
      average(f.of(s.inputs[0]) + i * in, h, w, w * c, c, to);
      for (int64_t k = 0; k < c; ++k) to[k] /= float(h * w);
    });
  const int64_t oh = y[2], ow = y[3];
  if (kind == Pool::max) {
    const auto row = cpu::loops<float>().max_pool_row;
    return per_image("max_pool2d", [=](const Step& s, const Frame& f, int64_t i) {
      for (int64_t r = 0; r < oh; ++r)
        row(f.of(s.inputs[0]) + i * in + r * stride * w * c, w * c, kernel, stride, ow, c,
            f.of(s.output) + i * out + r * ow * c);
    });
  }
  const float share = 1.0f / float(kernel * kernel);
  return per_image("avg_pool2d", [=](const Step& s, const Frame& f, int64_t i) {
    for (int64_t p = 0; p < oh * ow; ++p) {
      float* to = f.of(s.output) + i * out + p * c;
      average(f.of(s.inputs[0]) + i * in + (p / ow * w + p % ow) * stride * c, kernel, kernel,
              w * c, c, to);
      for (int64_t k = 0; k < c; ++k) to[k] *= share;
    }
  });
}

StepPtr add_step(int64_t n, bool relu) {
  const auto add = cpu::loops<float>().add;
  return per_image("add", [=](const Step& s, const Frame& f, int64_t i) {
    float* y = f.of(s.output) + i * n;
    add(f.of(s.inputs[0]) + i * n, f.of(s.inputs[1]) + i * n, y, n);
    for (int64_t k = 0; relu && k < n; ++k) y[k] = y[k] < 0 ? 0 : y[k];
  });
}

StepPtr relu_step(int64_t n) {
  return per_image("relu", [=](const Step& s, const Frame& f, int64_t i) {
    const float* x = f.of(s.inputs[0]) + i * n;
    float* y = f.of(s.output) + i * n;
    for (int64_t k = 0; k < n; ++k) y[k] = x[k] < 0 ? 0 : x[k];
  });
}

StepPtr convert_step(const Shape& shape, Layout from) {
  const int64_t c = shape[1], pixels = shape[2] * shape[3], n = c * pixels;
  const cpu::SparseKernels& kernels = cpu::kernels().sparse;
  const bool plain = from == Layout::plain;
  return per_image(plain ? "to nhwc" : "from nhwc",
                   [=, &kernels](const Step& s, const Frame& f, int64_t i) {
                     const float* x = f.of(s.inputs[0]) + i * n;
                     float* y = f.of(s.output) + i * n;
                     if (plain)
                       kernels.to_lanes(x, c, pixels, pixels, y, c);
                     else
                       kernels.from_lanes(x, pixels, c, c, y, pixels);
                   });
}

StepPtr shortcut_step(const Shape& x, const Shape& y, int64_t stride) {
  const int64_t c = x[1], w = x[3], in = x.elements(), oc = y[1], oh = y[2], ow = y[3];
  return per_image(
      "shortcut: stride and zero channels", [=](const Step& s, const Frame& f, int64_t i) {
        const float* from = f.of(s.inputs[0]) + i * in;
        float* to = f.of(s.output) + i * oc * oh * ow;
        for (int64_t p = 0; p < oh * ow; ++p, to += oc) {
          std::memcpy(to, from + (p / ow * w + p % ow) * stride * c, size_t(c) * sizeof(float));
          std::memset(to + c, 0, size_t(oc - c) * sizeof(float));
        }
      });
}

StepPtr copy_step(int64_t bytes) {
  return per_image("copy", [=](const Step& s, const Frame& f, int64_t i) {
    std::memcpy(f.of<char>(s.output) + i * bytes, f.of<char>(s.inputs[0]) + i * bytes,
                size_t(bytes));
  });
}

}  // namespace pare::plan
