// Winograd's form of a convolution against a double-precision reference and beside the direct form.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "compress/plan/plan.h"
#include "compress/plan/step.h"
#include "core/cpu/isa.h"
#include "core/random.h"
#include "layers/layers.h"
#include "tests/support/isas.h"

using namespace pare;
using namespace pare::testing;

namespace {

Tensor normal(const Shape& shape, Rng& rng, double scale = 1) {
  const Tensor t = Tensor::empty(shape);
  for (int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] = float(scale * rng.normal());
  return t;
}

struct Case {
  int64_t images, height, width, channels, out, padding;
  bool relu, residual;
};

// Inputs, outputs and the residual lie nhwc, as steps have them.
struct Layer {
  plan::ConvSpec spec;
  Tensor x, residual;
  int64_t images;

  Layer(const Case& c, uint64_t seed) : images(c.images) {
    Rng rng(seed);
    spec.weight = normal({c.out, c.channels, 3, 3}, rng, std::sqrt(2. / double(9 * c.channels)));
    spec.bias = normal({c.out}, rng);
    spec.x = {1, c.channels, c.height, c.width};
    spec.y = {1, c.out, c.height + 2 * c.padding - 2, c.width + 2 * c.padding - 2};
    spec.padding = c.padding;
    spec.relu = c.relu;
    spec.residual = c.residual ? 2 : -1;
    x = normal({images * spec.x.elements()}, rng);
    residual = normal({images * spec.y.elements()}, rng);
  }

  // Cut into parts at will.
  std::vector<double> run(plan::StepPtr step, int64_t parts) const {
    const Tensor y = Tensor::empty({images * spec.y.elements()});
    y.fill(std::nan(""));
    std::byte* at[] = {static_cast<std::byte*>(x.raw()), static_cast<std::byte*>(y.raw()),
                       static_cast<std::byte*>(residual.raw())};
    step->inputs = {0, 2};
    step->output = 1;
    for (int64_t part = 0; part < parts; ++part) step->run({images, at}, part, parts);
    return y.to_vector<double>();
  }

  std::vector<double> reference() const {
    const int64_t c = spec.x[1], h = spec.x[2], w = spec.x[3];
    const int64_t o = spec.y[1], oh = spec.y[2], ow = spec.y[3];
    std::vector<double> y;
    for (int64_t n = 0; n < images; ++n)
      for (int64_t i = 0; i < oh; ++i)
        for (int64_t j = 0; j < ow; ++j)
          for (int64_t k = 0; k < o; ++k) {
            double sum = spec.bias.data<float>()[k];
            for (int64_t a = 0; a < 9; ++a) {
              const int64_t r = i + a / 3 - spec.padding, q = j + a % 3 - spec.padding;
              if (r < 0 || r >= h || q < 0 || q >= w) continue;
              for (int64_t l = 0; l < c; ++l)
                sum += double(x.data<float>()[((n * h + r) * w + q) * c + l]) *
                       double(spec.weight.data<float>()[(k * c + l) * 9 + a]);
            }
            if (spec.residual >= 0) sum += double(residual.data<float>()[y.size()]);
            y.push_back(spec.relu ? std::max(sum, 0.) : sum);
          }
    return y;
  }
};

// Largest error over the largest element.
double error_of(const std::vector<double>& got, const std::vector<double>& want) {
  double largest = 0, off = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(want[i]));
    off = std::isnan(got[i]) ? INFINITY : std::max(off, std::abs(got[i] - want[i]));
  }
  return off / largest;
}

constexpr Case cases[] = {{1, 4, 4, 16, 16, 1, false, false},    {3, 8, 8, 64, 64, 1, true, true},
                          {2, 32, 32, 16, 16, 1, true, false},   {2, 7, 9, 17, 33, 1, false, true},
                          {5, 6, 5, 20, 50, 0, true, false},     {1, 13, 3, 1, 3, 2, false, true},
                          {1, 16, 10, 256, 40, 0, false, false}, {7, 1, 2, 5, 16, 1, true, true}};

}  // namespace

// The bound is for sums of normal numbers over up to 256 channels; the direct form's is 2e-6.
TEST_CASE("Winograd's convolution is within 5e-6 of the largest output") {
  on_every_isa([] {
    for (const Case& c : cases) {
      CAPTURE(c.channels);
      const Layer layer(c, 7);
      CHECK(error_of(layer.run(winograd_step(layer.spec), 1), layer.reference()) < 5e-6);
      plan::ConvSpec direct = layer.spec;
      direct.winograd = false;
      CHECK(error_of(layer.run(conv_step(direct), 1), layer.reference()) < 2e-6);
    }
  });
}

TEST_CASE("how tiles are grouped changes no bit of Winograd's convolution") {
  on_every_isa([] {
    for (const Case& c : cases) {
      const Layer layer(c, 8);
      const std::vector<double> whole = layer.run(winograd_step(layer.spec), 1);
      for (const int64_t parts : {2, 3, 17})
        CHECK(layer.run(winograd_step(layer.spec), parts) == whole);
    }
  });
}

TEST_CASE("the form is chosen by shape, and the direct one can be asked for") {
  struct Net : Module {
    Net() { initialize(*this, 1); }
    Tensor forward(const Tensor& x, Mode mode) override { return wide(first(x, mode), mode); }
    void visit(Visitor& v) override { v("first", first), v("wide", wide); }
    Conv2d first{3, 32, 3, {.padding = 1}}, wide{32, 32, 3, {.padding = 1}};
  } net;
  const Graph graph = capture(net, Tensor::zeros({1, 3, 16, 16}));
  on_every_isa([&] {
    const std::string chosen = compile(graph).describe();
    CAPTURE(chosen);
    CHECK(chosen.find(": conv2d, direct, 3x3") != std::string::npos);
    CHECK(chosen.find(": conv2d, Winograd F(4x4, 3x3)") != std::string::npos);
    CHECK(compile(graph, {.winograd = false}).describe().find("Winograd") == std::string::npos);
  });
}
