#include <doctest/doctest.h>

#include <cmath>

#include "core/thread_pool.h"
#include "optim/optimizer.h"
#include "tests/support/isas.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

// Puts a gradient into a parameter as a tape would.
void give_gradient(const Param& p, const std::vector<double>& g) {
  ParamState& s = p.state();
  s.grad = Tensor::from(g, s.value.shape()).to(s.value.dtype());
  s.has_grad = true;
}

Param random_param(int64_t n, DType dtype, uint64_t seed) {
  return Param(normals<double>({n}, seed).to(dtype));
}

std::unique_ptr<Optimizer> make(const char* rule, const Param& p, OptimizerOptions options) {
  options.name = rule;
  return make_optimizer({{"p", p}}, options);
}

// The rules again, in double and one element at a time.
struct Reference {
  std::string rule;
  OptimizerOptions o;
  std::vector<double> w, a, b;
  void step(int t, std::vector<double> g, double clip) {
    a.resize(w.size());
    b.resize(w.size());
    double square = 0;
    for (const double x : g) square += x * x;
    const double norm = std::sqrt(square), scale = clip > 0 && norm > clip ? clip / norm : 1;
    for (size_t i = 0; i < w.size(); ++i) {
      double d = g[i] * scale;
      if (rule == "sgd" || rule == "nesterov") {
        d += o.weight_decay * w[i];
        a[i] = o.momentum * a[i] + d;
        w[i] -= o.rate * ((rule == "nesterov") ? d + o.momentum * a[i] : a[i]);
        continue;
      }
      if (rule == "adam") d += o.weight_decay * w[i];
      if (rule == "adamw") w[i] *= 1 - o.rate * o.weight_decay;
      a[i] = 0.9 * a[i] + (1 - 0.9) * d;
      b[i] = 0.999 * b[i] + (1 - 0.999) * d * d;
      const double m = a[i] / (1 - std::pow(0.9, t)), v = b[i] / (1 - std::pow(0.999, t));
      w[i] -= o.rate * m / (std::sqrt(v) + 1e-8);
    }
  }
};

}  // namespace

TEST_CASE("optimizers on every instruction set against the rules in double") {
  const IsaScope guard;
  for (const Isa isa : isas_here(true))
    for (const char* rule : {"sgd", "nesterov", "adam", "adamw"})
      for (const double clip : {0.0, 0.5})
        for (const int64_t n : {1, 37, 70001}) {
          set_isa(isa);
          CAPTURE(rule);
          CAPTURE(n);
          CAPTURE(to_string(isa));
          const OptimizerOptions options{.rate = 0.01, .weight_decay = 0.02};
          const Param p = random_param(n, DType::f32, 3);
          Reference r{rule, options, p.value().to_vector<double>(), {}, {}};
          const auto optimizer = make(rule, p, options);
          optimizer->set_clip(clip);
          for (int t = 1; t <= 5; ++t) {
            const auto g =
                random_param(n, DType::f32, uint64_t(10 + t)).value().to_vector<double>();
            give_gradient(p, g);
            optimizer->step();
            r.step(t, g, clip);
          }
          const auto w = p.value().to_vector<double>();
          double worst = 0;
          for (size_t i = 0; i < w.size(); ++i)
            worst = std::max(worst, std::abs(w[i] - r.w[i]) / (1 + std::abs(r.w[i])));
          CHECK(worst < 2e-6);
        }
}

TEST_CASE("the same bits for every instruction set and any number of threads") {
  const IsaScope guard;
  for (const char* rule : {"sgd", "nesterov", "adam", "adamw"}) {
    std::vector<float> first;
    for (const Isa isa : isas_here(true))
      for (const int n : {1, 2, 3, 8}) {
        set_isa(isa);
        set_threads(n);
        const Param p = random_param(100003, DType::f32, 3);
        const auto optimizer = make(rule, p, {.weight_decay = 0.01});
        optimizer->set_clip(1);
        for (int t = 0; t < 3; ++t) {
          give_gradient(p,
                        random_param(100003, DType::f32, uint64_t(t)).value().to_vector<double>());
          optimizer->step();
        }
        if (first.empty()) first = p.value().to_vector<float>();
        CHECK(p.value().to_vector<float>() == first);
      }
    set_threads(0);
  }
}

// Values from PyTorch 2.15 in float64 on the same gradients.
TEST_CASE("100 steps end where PyTorch's end") {
  const auto run = [](const char* rule, const OptimizerOptions& options) {
    const Param p(Tensor::from(std::vector<double>{0.5, -0.25, 1, 0}, {4}));
    const auto optimizer = make(rule, p, options);
    for (int t = 0; t < 100; ++t) {
      std::vector<double> g;
      for (int i = 0; i < 4; ++i)
        g.push_back(std::sin(0.1 * t + i) + 0.3 * p.value().data<double>()[i]);
      give_gradient(p, g);
      optimizer->step();
    }
    return p.value().to_vector<double>();
  };
  const auto compare = [](const std::vector<double>& got, const std::vector<double>& expected) {
    for (size_t i = 0; i < 4; ++i) CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-11));
  };
  const OptimizerOptions sgd{.rate = 0.05, .weight_decay = 0.01};
  OptimizerOptions plain = sgd;
  plain.momentum = 0;
  const OptimizerOptions adam{.rate = 0.02, .weight_decay = 0.1};
  compare(run("sgd", sgd),
          {-1.8931198774757774, 2.2140783950468914, 4.288466568442086, 2.41795109398774});
  compare(run("nesterov", sgd),
          {-1.5816713225540666, 2.150086261881371, 3.9050939032392415, 2.069754081607015});
  compare(run("sgd", plain),
          {-0.3863055632556848, -0.04503506844497963, 0.7088186079060743, 0.5319768881576339});
  compare(run("adam", adam),
          {-0.19971230552152075, -0.33421838706328433, 0.44283023665230553, 0.3695391727338986});
  compare(run("adamw", adam),
          {-0.20501214736194323, -0.3387849940165222, 0.4570798098861531, 0.3745955627468449});
}

TEST_CASE("under a frozen mask value, gradient and slots stay exactly zero, with decay too") {
  for (const char* rule : {"sgd", "nesterov", "adam", "adamw"}) {
    CAPTURE(rule);
    const int64_t n = 40001;
    Param p = random_param(n, DType::f32, 5);
    const Tensor mask = Tensor::full({n}, 1, DType::u8);
    for (int64_t i = 0; i < n; i += 3) mask.data<uint8_t>()[i] = 0;
    const auto optimizer = make(rule, p, {.weight_decay = 0.1});
    const auto step = [&](uint64_t seed) {
      give_gradient(p, random_param(n, DType::f32, seed).value().to_vector<double>());
      optimizer->step();
    };
    step(1);  // the slots are not empty when the mask comes
    p.set_mask(mask);
    for (uint64_t s = 2; s < 6; ++s) {
      step(s);
      int64_t nonzero = 0, live = 0;
      const auto count = [&](const Tensor& t) {
        for (int64_t i = 0; i < n; ++i) (i % 3 == 0 ? nonzero : live) += t.data<float>()[i] != 0;
      };
      count(p.value());
      count(p.grad());
      for (const auto& [name, slot] : p.state().slots) count(slot);
      CHECK(nonzero == 0);
      CHECK(live > n);
    }
  }
}

TEST_CASE("a clone goes on as the original: slots and step counts belong to the parameter") {
  const Param p = random_param(100, DType::f32, 9);
  const auto step = [](const Param& q, uint64_t seed) {
    const auto optimizer = make("adamw", q, {.weight_decay = 0.1});  // a new one every time
    give_gradient(q, random_param(100, DType::f32, seed).value().to_vector<double>());
    optimizer->step();
  };
  for (uint64_t s = 0; s < 3; ++s) step(p, s);
  const Param copy = p.clone();
  CHECK(copy.state().steps == 3);
  for (uint64_t s = 3; s < 6; ++s) step(p, s);
  for (uint64_t s = 3; s < 6; ++s) step(copy, s);
  CHECK(p.value().to_vector<float>() == copy.value().to_vector<float>());
}
