// Pooling steps of plans, over plain and over nhwc images, against windows done one by one.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "compress/plan/step.h"
#include "tests/support/isas.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::plan;
using namespace pare::testing;

namespace {

struct Case {
  Pool kind;
  Shape x;  // images, channels, height, width
  int64_t kernel = 0, stride = 0;
  int64_t out(int axis) const {
    return kind == Pool::global_average ? 1 : (x[axis] - kernel) / stride + 1;
  }
  Shape y() const { return {x[0], x[1], out(2), out(3)}; }
};

// In float, in the order of the window, NaN where it holds one.
std::vector<float> expected(const Case& c, const Tensor& x) {
  std::vector<float> y;
  const int64_t kh = c.kind == Pool::global_average ? c.x[2] : c.kernel,
                kw = c.kind == Pool::global_average ? c.x[3] : c.kernel;
  for (int64_t plane = 0; plane < c.x[0] * c.x[1]; ++plane)
    for (int64_t i = 0; i < c.out(2); ++i)
      for (int64_t j = 0; j < c.out(3); ++j) {
        const float* at = x.data<float>() + (plane * c.x[2] + i * c.stride) * c.x[3] + j * c.stride;
        float top = *at, sum = 0;
        for (int64_t a = 0; a < kh; ++a)
          for (int64_t b = 0; b < kw; ++b) {
            const float v = at[a * c.x[3] + b];
            if (v > top || std::isnan(v)) top = v;
            sum += v;
          }
        y.push_back(c.kind == Pool::max       ? top
                    : c.kind == Pool::average ? sum * (1.0f / float(kh * kw))
                                              : sum / float(kh * kw));
      }
  return y;
}

Shape one(Shape shape) {
  shape.set(0, 1);
  return shape;
}

std::vector<float> run(StepPtr step, const Tensor& x, const Shape& out) {
  step->inputs = {0}, step->output = 1;
  const Tensor y = Tensor::full(out, 7);
  std::byte* at[] = {x.data<std::byte>(), y.data<std::byte>()};
  step->run({x.size(0), at}, 0, 1);
  return y.to_vector<float>();
}

// Images c outermost from images c innermost, or back.
Tensor converted(const Tensor& x, Layout from) {
  const Tensor y = Tensor::empty(x.shape());
  StepPtr step = convert_step(one(x.shape()), from);
  step->inputs = {0}, step->output = 1;
  std::byte* at[] = {x.data<std::byte>(), y.data<std::byte>()};
  step->run({x.size(0), at}, 0, 1);
  return y;
}

void check_case(const Case& c, const Tensor& x) {
  const auto want = expected(c, x);
  CAPTURE(c.x);
  CAPTURE(c.kernel);
  CAPTURE(c.stride);
  const Shape in = one(c.x), out = c.kind == Pool::global_average ? Shape{1, c.x[1]} : one(c.y());
  const auto same = [&](const std::vector<float>& got) {
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < got.size(); ++i)
      if (std::bit_cast<uint32_t>(got[i]) != std::bit_cast<uint32_t>(want[i]))
        return std::isnan(got[i]) && std::isnan(want[i]);
    return true;
  };
  CHECK(same(run(plain_pool_step(c.kind, in, out, c.kernel, c.stride), x, c.y())));
  const Tensor pixels = converted(x, Layout::plain);
  auto nhwc = run(pool_step(c.kind, in, out, c.kernel, c.stride), pixels, c.y());
  CHECK(same(converted(Tensor::from(nhwc, c.y()), Layout::nhwc).to_vector<float>()));
}

}  // namespace

TEST_CASE("pooling in plans has the bits of windows done one by one, in both layouts") {
  on_every_isa([] {
    uint64_t seed = 1;
    for (const int64_t width : {1, 2, 3, 5, 8, 9, 17, 33, 35, 67})
      for (const int64_t channels : {1, 3, 8, 17}) {
        const Shape shape{2, channels, 6, width};
        Tensor x = normals(shape, ++seed);
        if (seed % 3 == 0) {
          for (int64_t i = 1; i < x.elements(); i += 11)
            x.data<float>()[i] = std::numeric_limits<float>::quiet_NaN();
          x.data<float>()[0] = -0.0f;
        }
        check_case({Pool::global_average, shape}, x);
        for (const Pool kind : {Pool::max, Pool::average})
          for (int64_t kernel = 1; kernel <= std::min<int64_t>(5, width); ++kernel)
            for (const int64_t stride : {1, 2, 3}) check_case({kind, shape, kernel, stride}, x);
      }
  });
}
