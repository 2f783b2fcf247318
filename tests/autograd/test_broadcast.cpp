#include <doctest/doctest.h>

#include <cmath>

#include "autograd/gradcheck.h"
#include "autograd/graph.h"
#include "autograd/ops.h"
#include "core/random.h"
#include "core/thread_pool.h"

using namespace pare;

namespace {

Tensor noise(const Shape& shape, uint64_t seed, double from = 0) {
  const Tensor t = Tensor::empty(shape, DType::f64);
  Rng rng(seed);
  for (int64_t i = 0; i < t.elements(); ++i) t.data<double>()[i] = from + rng.normal();
  return t;
}

using Binary = Tensor (*)(const Tensor&, const Tensor&);
constexpr Binary binaries[] = {add, sub, mul, div};

double plain(int op, double a, double b) {
  return op == 0 ? a + b : op == 1 ? a - b : op == 2 ? a * b : a / b;
}

}  // namespace

TEST_CASE("broadcasting follows NumPy, with gradients for every repetition") {
  const std::pair<Shape, Shape> cases[] = {
      {{3, 4}, {3, 4}},    {{3, 4}, {4}}, {{4}, {3, 4}},    {{3, 1}, {1, 4}},
      {{2, 3, 4}, {3, 1}}, {{5}, {}},     {{1}, {1, 1, 3}}, {{2, 1, 3, 1}, {4, 1, 5}}};
  for (int op = 0; op < 4; ++op)
    for (const auto& [sa, sb] : cases) {
      CAPTURE(op);
      const Tensor a = noise(sa, 1), b = noise(sb, 2, 4);
      const Tensor y = binaries[op](a, b);
      if (sa == Shape{3, 1} && sb == Shape{1, 4})
        for (int64_t i = 0; i < 3; ++i)
          for (int64_t j = 0; j < 4; ++j)
            CHECK(y.data<double>()[i * 4 + j] ==
                  doctest::Approx(plain(op, a.data<double>()[i], b.data<double>()[j])));
      gradcheck([&](const std::vector<Tensor>& v) { return binaries[op](v[0], v[1]); }, {a, b});
    }
  CHECK_THROWS_WITH_AS(add(noise({2, 3}, 1), noise({2}, 1)), doctest::Contains("do not broadcast"),
                       Error);
  const Tensor x = noise({2, 3, 4, 5}, 1).in_format(Format::nhwc);
  CHECK(mul(x, x).format() == Format::nhwc);
  CHECK(mul(x, x).to_vector<double>() == square(x).to_vector<double>());
  gradcheck([](const std::vector<Tensor>& v) { return div(v[0].in_format(Format::nhwc), v[1]); },
            {noise({2, 3, 2, 2}, 1), noise({2, 3, 2, 2}, 2, 5)});
  CHECK(((x * 2.0 - x) / 0.5 + 1.0).shape() == x.shape());
}

TEST_CASE("reductions over any axes") {
  const Tensor x = noise({2, 3, 4}, 3);
  CHECK(sum(x, {1}).shape() == Shape{2, 4});
  CHECK(sum(x, {-1, 0}, true).shape() == Shape{1, 3, 1});
  CHECK(mean(x).shape() == Shape{});
  double total = 0, largest = -1e9;
  for (const double v : x.to_vector<double>()) {
    total += v;
    largest = std::max(largest, v);
  }
  CHECK(sum(x).item() == doctest::Approx(total));
  CHECK(mean(x).item() == doctest::Approx(total / 24));
  CHECK(max(x).item() == largest);
  double second = 0;
  for (int64_t j = 0; j < 3; ++j) second += x.data<double>()[j * 4 + 1];
  CHECK(sum(x, {1}).data<double>()[1] == doctest::Approx(second));
  for (const Ints& axes : {Ints{}, Ints{0}, Ints{1}, Ints{2}, Ints{0, 2}, Ints{-2, -1}})
    for (const bool keep : {false, true}) {
      gradcheck([&](const std::vector<Tensor>& v) { return sum(square(v[0]), axes, keep); }, {x});
      gradcheck([&](const std::vector<Tensor>& v) { return mean(v[0], axes, keep); }, {x});
      gradcheck([&](const std::vector<Tensor>& v) { return max(v[0], axes, keep); }, {x});
    }
  CHECK_THROWS_AS(sum(x, {3}), Error);
  CHECK_THROWS_AS(sum(x, {1, 1}), Error);
  // A float sum of many ones is exact: it runs in double.
  CHECK(sum(Tensor::full({1 << 20, 17}, 1)).item() == double(17 << 20));
}

TEST_CASE("softmax, its logarithm, and transposition") {
  const Tensor x = noise({3, 5}, 4);
  const Tensor p = softmax(x), l = log_softmax(x);
  for (int64_t r = 0; r < 3; ++r) {
    double sum = 0;
    for (int64_t j = 0; j < 5; ++j) {
      sum += p.data<double>()[r * 5 + j];
      CHECK(std::log(p.data<double>()[r * 5 + j]) == doctest::Approx(l.data<double>()[r * 5 + j]));
    }
    CHECK(sum == doctest::Approx(1));
  }
  CHECK(softmax(Tensor::full({2, 2}, 1e30)).to_vector<double>() == std::vector<double>(4, 0.5));
  gradcheck([](const std::vector<Tensor>& v) { return softmax(v[0]); }, {x});
  gradcheck([](const std::vector<Tensor>& v) { return log_softmax(v[0]); }, {noise({2, 3, 4}, 5)});
  const Tensor y = noise({2, 3, 4}, 6), t = transpose(y, {2, 0, 1});
  CHECK(t.shape() == Shape{4, 2, 3});
  CHECK(t.data<double>()[(3 * 2 + 1) * 3 + 2] == y.data<double>()[(1 * 3 + 2) * 4 + 3]);
  gradcheck([](const std::vector<Tensor>& v) { return transpose(v[0], {2, 0, 1}); }, {y});
  gradcheck([](const std::vector<Tensor>& v) { return transpose(v[0], {1, 0, 3, 2}); },
            {noise({2, 3, 2, 4}, 7)});
  CHECK_THROWS_AS(transpose(y, {0, 0, 1}), Error);
  CHECK_THROWS_AS(transpose(y, {0, 1}), Error);
}

TEST_CASE("every op says which facets it lacks") {
  // Gradient: what has none must say so. MACs: what has weights counts them.
  for (const Op* op : registered_ops()) {
    const std::string name = op->name;
    CAPTURE(name);
    if (name.starts_with("test_") || name == "sign_split") continue;
    const bool gradient = !op->differentiable || op->composite || op->backward != nullptr ||
                          op->backward_kernel->on(Device{});
    CHECK(gradient);
    CHECK((op->coupling != Coupling::producer || op->macs != nullptr));
    if (op->coupling == Coupling::unknown && !op->couple) {
      const bool stated = name.ends_with("_loss") || name == "softmax_cross_entropy";
      CHECK_MESSAGE(stated, "pruning leaves what touches this op dense; state it here");
    }
  }
}
