#include <doctest/doctest.h>

#include <cmath>

#include "autograd/gradcheck.h"
#include "autograd/graph.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/random.h"
#include "tests/support/isas.h"

using namespace pare;
using namespace pare::testing;

namespace {

Tensor noise(const Shape& shape, uint64_t key, double low = -1, double high = 1) {
  Rng rng(key);
  std::vector<double> v(size_t(shape.elements()));
  for (double& x : v) x = low + (high - low) * (double(rng.next_u32()) + 0.5) * 0x1p-32;
  return Tensor::from(v, shape);
}

using Inputs = std::vector<Tensor>;

}  // namespace

TEST_CASE("gradcheck finds planted mistakes") {
  static Op wrong{.name = "wrong_square",
                  .saves_inputs = 1,
                  .infer = [](Call& c) { c.output(c.x().shape()); },
                  .forward =
                      [](Call& c) {
                        for (int64_t i = 0; i < c.x().elements(); ++i)
                          c.outputs[0].data<double>()[i] =
                              c.x().data<double>()[i] * c.x().data<double>()[i];
                      },
                  .backward =
                      [](BackwardCall& c) {
                        for (int64_t i = 0; i < c.inputs[0].elements(); ++i)
                          c.grad_inputs[0].data<double>()[i] = 2 * (i == 3 ? 1.01 : 1.0) *
                                                               c.inputs[0].data<double>()[i] *
                                                               c.grad_outputs[0].data<double>()[i];
                      }};
  static const Op& op = register_op(wrong);
  CHECK_THROWS_WITH_AS(
      gradcheck([](const Inputs& in) { return apply(op, {&in[0]}); }, {noise({6}, 1)}),
      doctest::Contains("element 3"), Error);
}

TEST_CASE("mistakes in shapes and labels are named") {
  CHECK_THROWS_WITH_AS(
      dense(noise({64, 400}, 1), noise({256, 784}, 2), noise({256}, 3)),
      "dense: input has 400 features, weight expects 784 [input 64x400, weight 256x784]", Error);
  const Tensor labels = Tensor::from(std::vector<int32_t>{3, 5}, {2});
  CHECK_THROWS_WITH_AS(softmax_cross_entropy(noise({2, 5}, 1), labels),
                       doctest::Contains("label 5 of example 1 is outside 0..4"), Error);
  try {
    softmax_cross_entropy(noise({2, 5}, 1), labels);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::bad_input);
  }
}

namespace {

struct SmallNet : Module {
  Param w1{noise({4, 1, 3, 3}, 1)}, b1{noise({4}, 2)}, w2{noise({3, 36}, 3)}, b2{noise({3}, 4)};
  Tensor forward(const Tensor& x, Mode) override {
    const Tensor h = max_pool2d(conv2d(x, w1(), b1(), {.relu = true}), 2);
    return dense(flatten(h), w2(), b2());
  }
  void visit(Visitor& v) override {
    v("w1", w1);
    v("b1", b1);
    v("w2", w2);
    v("b2", b2);
  }
};

std::vector<double> train(Module& net, int steps) {
  const Tensor x = noise({9, 1, 8, 8}, 5);
  const Tensor y = Tensor::from(std::vector<int32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2}, {9});
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) {
    Tape tape;
    const Tensor loss = softmax_cross_entropy(net(x, Mode::train), y);
    tape.backward(loss);
    losses.push_back(loss.item());
    for (Param& p : parameters(net)) {
      for (int64_t k = 0; k < p.value().elements(); ++k)
        p.value().data<double>()[k] -= 0.1 * p.grad().data<double>()[k];
      p.clear_grad();
    }
  }
  return losses;
}

}  // namespace

TEST_CASE("a captured network trains bit for bit like the module, without asking for memory") {
  SmallNet net;
  Graph graph = capture(net, noise({1, 1, 8, 8}, 6)).clone();
  const std::vector<double> expected = train(net, 20);
  CHECK(expected.back() < 0.5 * expected.front());
  CHECK(train(graph, 2).back() == expected[1]);
  const size_t asked = pool_statistics().system_allocations;
  const std::vector<double> rest = train(graph, 18);
  CHECK(pool_statistics().system_allocations == asked);
  CHECK(rest.back() == expected.back());
}

TEST_CASE("convolutions of images and kernels higher than a thousand rows") {
  const auto f = [](const Inputs& in) { return conv2d(in[0], in[1], {}, {.padding = 1}); };
  CHECK_NOTHROW(gradcheck(f, {noise({1, 1, 1500, 2}, 1), noise({1, 1, 2, 2}, 2)},
                          {.absolute = 1e-7, .max_elements = 8}));
  CHECK_NOTHROW(gradcheck(f, {noise({1, 1, 1300, 2}, 1), noise({1, 1, 1299, 2}, 2)},
                          {.absolute = 1e-7, .max_elements = 8}));
}

TEST_CASE("NaN goes through every activation and pooling, on every instruction set") {
  const std::vector<float> values = [] {
    std::vector<float> v(2 * 37, 1);
    for (size_t i = 0; i < v.size(); i += 3) v[i] = NAN;
    return v;
  }();
  const Tensor row = Tensor::from(values, {2, 37});
  const auto nans = [](const Tensor& t) {
    int64_t n = 0;
    for (const float v : t.to_vector<float>()) n += std::isnan(v);
    return n;
  };
  const IsaScope scope;
  for (const Isa isa : isas_here(true)) {
    set_isa(isa);
    CAPTURE(to_string(isa));
    for (Tensor (*f)(const Tensor&) : {relu, gelu, silu, sigmoid, pare::tanh, pare::exp})
      CHECK(nans(f(row)) == nans(row));
    CHECK(nans(leaky_relu(row)) == nans(row));
    CHECK(nans(clamp(row, 0, 6)) == nans(row));
    CHECK(nans(max(row, {1})) == 2);
    // Fused: a dense layer, a convolution, a norm; and each place of a pooling window.
    CHECK(nans(dense(row, Tensor::full({19, 37}, 1), Tensor::zeros({19}), true)) == 2 * 19);
    const Tensor image = Tensor::full({1, 19, 2, 2}, NAN);
    CHECK(nans(conv2d(image, Tensor::full({5, 19, 1, 1}, 1), {}, {.relu = true})) == 5 * 4);
    Buffer mean(Tensor::zeros({19})), variance(Tensor::full({19}, 1));
    CHECK(nans(batch_norm(image, Tensor::full({19}, 1), Tensor::zeros({19}), mean, variance,
                          Mode::eval, {.relu = true})) == 19 * 4);
    for (size_t place = 0; place < 4; ++place) {
      std::vector<float> pixels(19 * 4, 2);
      for (size_t c = 0; c < 19; ++c) pixels[c * 4 + place] = NAN;
      CHECK(nans(max_pool2d(Tensor::from(pixels, {1, 19, 2, 2}), 2)) == 19);
    }
  }
}
