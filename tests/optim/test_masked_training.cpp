// Training steps through a frozen mask: the sparse form of a dense layer against the dense one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/cpu/isa.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/layers.h"
#include "optim/optimizer.h"
#include "tests/support/isas.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

Tensor mask_of(const Shape& shape, double zeros, uint64_t seed) {
  const Tensor mask = Tensor::empty(shape, DType::u8);
  Rng rng(seed);
  for (int64_t i = 0; i < mask.elements(); ++i) mask.data<uint8_t>()[i] = rng.uniform() >= zeros;
  return mask;
}

struct Grads {
  std::vector<float> y, dx, dw, db;
  bool operator==(const Grads&) const = default;
};
// One step through dense(x, w, b) with dy given, the gradients into w and b.
Grads gradients(const Param& w, const Param& b, const Tensor& x, const Tensor& dy, bool relu) {
  w.state().has_grad = b.state().has_grad = false;
  Tape tape;
  const Tensor in = tape.watch(x);
  const Tensor y = dense(in, w(), b(), relu);
  tape.backward(y, dy);
  return {y.to_vector<float>(), tape.grad(in).to_vector<float>(), w.grad().to_vector<float>(),
          b.grad().to_vector<float>()};
}

// Sums of at most 301 products of normals in another order: within 301 roundings of 2^-24 of sums
// below 128.
void check_near(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double off = 0;
  for (size_t i = 0; i < a.size(); ++i) off = std::max(off, double(std::abs(a[i] - b[i])));
  CHECK(off < 2e-4);
}

}  // namespace

TEST_CASE("the sparse form of a dense layer gives its values and gradients") {
  on_every_isa([] {
    for (const double zeros : {0.8, 0.9, 0.99, 1.0})
      for (const int64_t n : {16, 40, 64, 130})
        for (const bool relu : {false, true}) {
          CAPTURE(zeros);
          CAPTURE(n);
          const int64_t in = 301, out = 37;
          Param w(normals({out, in}, 1)), b(normals({out}, 2));
          const Tensor mask = mask_of({out, in}, zeros + 0.005 * (zeros < 0.9), 3);
          w.set_mask(mask);
          REQUIRE(w.pattern().defined());
          const Param plain(w.value().clone()), plain_bias(b.value().clone());
          const Tensor x = normals({n, in}, 4), dy = normals({n, out}, 5);
          const Grads got = gradients(w, b, x, dy, relu);
          const Grads want = gradients(plain, plain_bias, x, dy, relu);
          CHECK(w.pattern_of_grad().defined());
          check_near(got.y, want.y);
          check_near(got.dx, want.dx);
          check_near(got.db, want.db);
          std::vector<float> kept = want.dw;
          bool dropped_are_zero = true;
          for (size_t i = 0; i < kept.size(); ++i)
            if (!mask.data<uint8_t>()[i]) {
              kept[i] = 0;
              dropped_are_zero = dropped_are_zero && got.dw[i] == 0;
            }
          CHECK(dropped_are_zero);
          check_near(got.dw, kept);
          set_threads(3);
          CHECK(gradients(w, b, x, dy, relu) == got);
          set_threads(0);
        }
  });
}

TEST_CASE("gradients add up, by either form and in either order, and dropped ones stay zero") {
  const int64_t in = 200, out = 30;
  for (const auto& [first, second] : {std::pair{64, 8}, {8, 64}, {64, 64}}) {
    CAPTURE(first);
    CAPTURE(second);
    Param w(normals({out, in}, 1)), b(Tensor::zeros({out}));
    const Tensor mask = mask_of({out, in}, 0.9, 3);
    w.set_mask(mask);
    const Param plain(w.value().clone());
    for (const Param* p : {static_cast<const Param*>(&w), &plain}) {
      Tape tape;
      const Tensor a = dense((normals({first, in}, 4)), (*p)(), b(), false);
      const Tensor c = dense((normals({second, in}, 5)), (*p)(), b(), false);
      const Tensor loss = add(sum(mul(a, a), {0, 1}, false), sum(mul(c, c), {0, 1}, false));
      tape.backward(loss, Tensor::full(loss.shape(), 1));
    }
    Sgd sgd({{"w", w}}, {.rate = 0.01, .momentum = 0.9});
    const auto want = plain.grad().to_vector<float>();
    double off = 0, largest = 0;
    for (size_t i = 0; i < want.size(); ++i)
      if (mask.data<uint8_t>()[i]) {
        off = std::max(off, double(std::abs(w.grad().data<float>()[i] - want[i])));
        largest = std::max(largest, double(std::abs(want[i])));
      }
    CHECK(off <= 1e-5 * largest);
    sgd.step();
    bool zero = true;
    for (size_t i = 0; i < want.size(); ++i)
      if (!mask.data<uint8_t>()[i])
        zero = zero && w.value().data<float>()[i] == 0 && w.grad().data<float>()[i] == 0 &&
               w.slot("momentum").data<float>()[i] == 0;
    CHECK(zero);
  }
}

namespace {

// Steps on a masked layer: with the pattern, or as the dense form and the mask give them.
std::vector<float> trained(const std::string& optimizer, double zeros, bool sparse) {
  const int64_t in = 200, out = 30;
  Param w(normals({out, in}, 1)), b(Tensor::zeros({out}));
  const Tensor mask = mask_of({out, in}, zeros, 3);
  w.set_mask(mask);
  // What the dense form trains: the same values, masked by hand.
  Param plain(w.value().clone());
  Param& used = sparse ? w : plain;
  const auto steps = make_optimizer({{"w", used}, {"b", b}}, {.name = optimizer, .rate = 0.01});
  for (int i = 0; i < 5; ++i) {
    Tape tape;
    const Tensor y = dense(normals({64, in}, uint64_t(10 + i)), used(), b(), true);
    tape.backward(y, normals({64, out}, uint64_t(20 + i)));
    for (int64_t k = 0; !sparse && k < mask.elements(); ++k)
      if (!mask.data<uint8_t>()[k]) plain.grad().data<float>()[k] = 0;
    steps->step();
  }
  for (const auto& [name, slot] : used.state().slots)
    for (int64_t k = 0; k < mask.elements(); ++k)
      if (!mask.data<uint8_t>()[k] && slot.data<float>()[k] != 0) return {};
  return used.value().to_vector<float>();
}

}  // namespace

TEST_CASE("optimizers step kept weights as they step all") {
  for (const std::string name : {"sgd", "nesterov", "adam", "adamw"})
    for (const double zeros : {0.9, 0.98}) {
      CAPTURE(name);
      CAPTURE(zeros);
      check_near(trained(name, zeros, true), trained(name, zeros, false));
    }
}

TEST_CASE("a mask written in place is noticed") {
  Param w(normals({64, 100}, 1)), b(Tensor::zeros({64}));
  w.set_mask(mask_of({64, 100}, 0.9, 3));
  const Tensor x = normals({32, 100}, 4), dy = normals({32, 64}, 5);
  gradients(w, b, x, dy, false);
  const auto kept = [&] {
    const auto d = w.grad().to_vector<float>();
    return std::count_if(d.begin(), d.end(), [](float v) { return v != 0; });
  };
  const auto ones = [&] {
    return std::count(w.state().mask.data<uint8_t>(), w.state().mask.data<uint8_t>() + 6400, 1);
  };
  CHECK(kept() == ones());
  const Tensor moved = mask_of({64, 100}, 0.95, 8);
  w.state().mask.copy_from(moved);
  w.apply_mask();
  gradients(w, b, x, dy, false);
  CHECK(kept() == ones());
  CHECK(ones() == std::count(moved.data<uint8_t>(), moved.data<uint8_t>() + 6400, 1));
}

TEST_CASE("a captured graph trains through the same form, and holds plain dense nodes") {
  Dense layer(300, 40);
  initialize(layer, 3);
  NamedParams params = named_parameters(layer);
  const Tensor x = normals({64, 300}, 4), dy = normals({64, 40}, 5);
  for (auto& [name, p] : params)
    if (p.value().rank() == 2) p.set_mask(mask_of(p.value().shape(), 0.9, 3));
  Graph graph = capture(layer, x);
  for (const GraphNode& node : graph.nodes) CHECK(node.op->name == std::string("dense"));
  std::vector<std::vector<float>> got;
  for (const bool replay : {false, true}) {
    for (auto& [name, p] : params) p.clear_grad();
    Tape tape;
    const Tensor y = replay ? graph(x, Mode::train) : layer(x, Mode::train);
    tape.backward(y, dy);
    got.push_back(y.to_vector<float>());
    for (auto& [name, p] : params) got.push_back(p.grad().to_vector<float>());
  }
  CHECK(params.size() == 2);
  for (size_t i = 0; i < 3; ++i) CHECK(got[i] == got[i + 3]);
}
