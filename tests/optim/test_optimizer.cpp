#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

void give_grad(Param p, const Tensor& g) {
  p.state().grad = g.clone();
  p.state().has_grad = true;
}

struct Scalar {  // one weight's reference state
  double w, m = 0, v = 0;
};

// 100 steps of `optimizer` on random gradients against `rule` applied to each weight.
void follows(Optimizer& optimizer, Param p, const std::function<void(Scalar&, double, int)>& rule) {
  std::vector<Scalar> expected;
  for (const double w : p.value().to_vector<double>()) expected.push_back({w});
  for (int step = 1; step <= 100; ++step) {
    const Tensor g = normals<double>({p.value().elements()}, uint64_t(step));
    give_grad(p, g);
    optimizer.step();
    for (size_t i = 0; i < expected.size(); ++i) rule(expected[i], g.data<double>()[i], step);
  }
  for (size_t i = 0; i < expected.size(); ++i)
    CHECK(p.value().data<double>()[i] == doctest::Approx(expected[i].w).epsilon(1e-10));
}

}  // namespace

TEST_CASE("SGD with momentum, decay and Nesterov's look-ahead") {
  for (const bool nesterov : {false, true}) {
    Param p(normals<double>({37}, 1));
    Sgd sgd({{"w", p}}, {.rate = 0.01, .momentum = 0.9, .weight_decay = 0.1, .nesterov = nesterov});
    follows(sgd, p, [&](Scalar& s, double g, int) {
      const double d = g + 0.1 * s.w;
      s.v = 0.9 * s.v + d;
      s.w -= 0.01 * (nesterov ? d + 0.9 * s.v : s.v);
    });
  }
}

TEST_CASE("Adam and AdamW") {
  for (const bool decoupled : {false, true}) {
    Param p(normals<double>({37}, 1));
    Adam adam({{"w", p}}, {.rate = 0.01, .weight_decay = 0.1, .decoupled = decoupled});
    follows(adam, p, [&](Scalar& s, double g, int t) {
      if (decoupled)
        s.w *= 1 - 0.01 * 0.1;
      else
        g += 0.1 * s.w;
      s.m = 0.9 * s.m + 0.1 * g;
      s.v = 0.999 * s.v + 0.001 * g * g;
      const double mh = s.m / (1 - std::pow(0.9, t)), vh = s.v / (1 - std::pow(0.999, t));
      s.w -= 0.01 * mh / (std::sqrt(vh) + 1e-8);
    });
  }
}

TEST_CASE("decay skips parameters that take none; masked elements stay zero in value and slots") {
  for (const char* name : {"sgd", "nesterov", "adam", "adamw"}) {
    CAPTURE(name);
    Param plain(Tensor::full({4}, 2, DType::f64), false), masked(normals<double>({64}, 2));
    std::vector<uint8_t> keep(64);
    for (size_t i = 0; i < 64; ++i) keep[i] = i % 2;
    masked.set_mask(Tensor::from(keep, {64}));
    const auto optimizer = make_optimizer({{"plain", plain}, {"masked", masked}},
                                          {.name = name, .rate = 0.1, .weight_decay = 0.5});
    for (int step = 0; step < 5; ++step) {
      give_grad(plain, Tensor::zeros({4}, DType::f64));
      give_grad(masked, normals<double>({64}, 9));
      optimizer->step();
    }
    CHECK(plain.value().data<double>()[0] == 2);
    for (size_t i = 0; i < 64; i += 2) {
      CHECK(masked.value().data<double>()[i] == 0);
      for (const auto& [slot, t] : masked.state().slots) CHECK(t.data<double>()[i] == 0);
    }
    CHECK(masked.value().data<double>()[1] != 0);
  }
}

TEST_CASE("a gradient that is not finite stops the step before anything changes") {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Param a(normals<double>({5}, 1)), b(normals<double>({5}, 2));
    const auto before = a.value().to_vector<double>();
    Sgd sgd({{"first", a}, {"second", b}});
    give_grad(a, normals<double>({5}, 3));
    const Tensor g = normals<double>({5}, 4);
    g.data<double>()[4] = bad;
    give_grad(b, g);
    CHECK_THROWS_WITH_AS(sgd.step(), doctest::Contains("'second' is not finite"), Error);
    CHECK(a.value().to_vector<double>() == before);
  }
}

TEST_CASE("clipping scales all gradients by one factor, and only above the norm") {
  Param a(Tensor::zeros({1}, DType::f64)), b(Tensor::zeros({1}, DType::f64));
  Sgd sgd({{"a", a}, {"b", b}}, {.rate = 1, .momentum = 0});
  sgd.set_clip(1);
  give_grad(a, Tensor::full({1}, 3, DType::f64));
  give_grad(b, Tensor::full({1}, 4, DType::f64));
  sgd.step();
  CHECK(a.value().item() == doctest::Approx(-0.6));
  CHECK(b.value().item() == doctest::Approx(-0.8));
  give_grad(a, Tensor::full({1}, 0.5, DType::f64));
  sgd.step();
  CHECK(a.value().item() == doctest::Approx(-1.1));
}

TEST_CASE("unknown names and values out of range are refused") {
  CHECK_THROWS_WITH_AS(make_optimizer({}, {.name = "adamx"}), doctest::Contains("adam"), Error);
  CHECK_THROWS_AS(make_optimizer({}, {.rate = -1}), Error);
  CHECK_THROWS_AS(make_optimizer({}, {.rate = std::nan("")}), Error);
  CHECK_THROWS_AS(make_optimizer({}, {.momentum = 1}), Error);
  CHECK_THROWS_AS(make_optimizer({}, {.clip = -1}), Error);
  CHECK_THROWS_WITH_AS(parse_schedule("cosin"), doctest::Contains("cosine"), Error);
}

TEST_CASE("schedules") {
  const auto f = [](ScheduleKind kind, int64_t warmup, int64_t step) {
    return Schedule{kind, 100, warmup}.factor(step);
  };
  CHECK(f(ScheduleKind::constant, 0, 99) == 1);
  CHECK(f(ScheduleKind::step, 0, 49) == 1);
  CHECK(f(ScheduleKind::step, 0, 50) == doctest::Approx(0.1));
  CHECK(f(ScheduleKind::step, 0, 75) == doctest::Approx(0.01));
  CHECK(f(ScheduleKind::cosine, 0, 0) == 1);
  CHECK(f(ScheduleKind::cosine, 0, 50) == doctest::Approx(0.5));
  CHECK(f(ScheduleKind::cosine, 0, 100) == doctest::Approx(0));
  CHECK(f(ScheduleKind::one_cycle, 0, 0) == doctest::Approx(0.04));
  CHECK(f(ScheduleKind::one_cycle, 0, 30) == doctest::Approx(1));
  CHECK(f(ScheduleKind::one_cycle, 0, 100) == doctest::Approx(1e-5));
  CHECK(f(ScheduleKind::cosine, 4, 0) == doctest::Approx(0.2));
  CHECK(f(ScheduleKind::cosine, 4, 3) == doctest::Approx(0.8));
  CHECK(f(ScheduleKind::cosine, 4, 4) == doctest::Approx(1));
  for (const auto kind : {ScheduleKind::constant, ScheduleKind::one_cycle})
    CHECK(parse_schedule(to_string(kind)) == kind);
}
