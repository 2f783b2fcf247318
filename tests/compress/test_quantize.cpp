#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "compress/quantize/int8_dense.h"
#include "compress/quantize/integers.h"
#include "compress/quantize/ops.h"
#include "compress/quantize/quantize.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"
#include "tests/support/isas.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

Graph quantized_mlp(const Tensor& x) {
  const auto net = make_model("mlp", {1, 28, 28}, 10, 5);
  for (auto& [name, p] : named_parameters(*net))  // biases that matter
    if (p.value().rank() == 1)
      p.value().copy_from(normals(p.value().shape(), hash_name(name), 0.2f));
  Graph g = capture(*net, x);
  quantize(g, calibrate(g, {x}));
  return g;
}

}  // namespace

TEST_CASE("quantizers hold zero exactly and rounding goes to even") {
  const Quantizer q = quantizer_of(-1.0f, 3.0f);
  CHECK(dequantize_value(quantize_value(0.0f, q), q) == 0.0f);
  CHECK(quantize_value(-100.0f, q) == 0);
  CHECK(quantize_value(std::numeric_limits<float>::infinity(), q) == 255);
  CHECK(quantize_value(std::nanf(""), q) == q.zero);
  CHECK(quantizer_of(0, 0) == Quantizer{1.0f, 0});
  CHECK(quantizer_of(2, 5).zero == 0);  // widened to hold zero
  CHECK(quantizer_of(-5, -2).zero == 255);
  CHECK(quantizer_of(0, 1e-38f).scale == 1);  // denormal scales are refused
  CHECK_THROWS_AS(quantizer_of(0, std::numeric_limits<float>::infinity()), Error);
  CHECK_THROWS_AS(quantizer_of(1, 0), Error);
  CHECK(round_even(0.5f) == 0);
  CHECK(round_even(1.5f) == 2);
  CHECK(round_even(-2.5f) == -2);
  for (int v = 0; v < 256; ++v)  // what was quantized stays itself
    for (const Quantizer p : {q, quantizer_of(-0.1f, 7e-3f), quantizer_of(0, 1e30f)})
      CHECK(quantize_value(dequantize_value(uint8_t(v), p), p) == v);
}

TEST_CASE("a channel of tiny weights beside a large bias keeps its bias") {
  const Tensor w = Tensor::from<float>({1e-12f, -1e-12f, 0, 0}, {2, 2});
  const Tensor b = Tensor::from<float>({3.0f, -2.0f}, {2});
  const Quantizer x{0.01f, 7}, y = quantizer_of(-4, 4);
  const IntegerLayer layer = integer_layer(w, b, x, y);
  for (int c = 0; c < 2; ++c) {
    const uint8_t q =
        requantize(layer.bias.data<int32_t>()[c], layer.multiplier.data<float>()[c], y.zero, false);
    CHECK(dequantize_value(q, y) == doctest::Approx(b.data<float>()[c]).epsilon(0.01));
  }
}

TEST_CASE(
    "int8_dense equals the sum written out, on every instruction set, at odd and extreme sizes") {
  for (const int64_t in : {1, 3, 15, 16, 17, 63, 64, 65, 100, 784})
    for (const int64_t out : {1, 4, 5, 10}) {
      const int64_t n = 1 + in % 7;
      Rng rng(uint64_t(in * 31 + out));
      std::vector<uint8_t> x(size_t(n * in)), y(size_t(n * out)), expected(y.size());
      std::vector<int8_t> w(size_t(out * in));
      std::vector<int32_t> bias(y.size() / size_t(n));
      std::vector<float> m(bias.size());
      const bool extreme = in % 2 == 0;  // all products as large as they get: saturation would show
      for (auto& v : x) v = extreme ? 255 : uint8_t(rng.below(256));
      for (auto& v : w)
        v = int8_t(extreme ? (rng.below(2) ? 127 : -127) : int(rng.below(255)) - 127);
      for (auto& v : bias) v = int32_t(rng.below(200000)) - 100000;
      for (auto& v : m) v = float(rng.below(1000) + 1) * 1e-6f;
      for (int64_t r = 0; r < n; ++r)
        for (int64_t o = 0; o < out; ++o) {
          int64_t acc = bias[size_t(o)];
          for (int64_t i = 0; i < in; ++i)
            acc += int64_t(x[size_t(r * in + i)]) * w[size_t(o * in + i)];
          const double v = std::nearbyint(double(float(acc) * m[size_t(o)])) + 100;
          expected[size_t(r * out + o)] = uint8_t(std::min(255.0, std::max(100.0, v)));
        }
      for (const Isa isa : isas_here()) {
        const IsaScope scope(isa);
        int8_dense_kernel(
            {x.data(), w.data(), bias.data(), m.data(), y.data(), n, in, out, 100, true});
        CHECK_MESSAGE(y == expected, to_string(isa), " in ", in, " out ", out);
      }
    }
}

TEST_CASE("the lowered network gives the bits of the fake-quantized one everywhere") {
  const Tensor x = normals({37, 1, 28, 28}, 9);
  Graph g = quantized_mlp(x);
  const Tensor expected = g(x, Mode::eval);
  const Graph lowered_const = lower(g);
  Graph lowered = lowered_const.clone();
  CHECK(lowered.nodes.size() == 6);  // flatten, quantize, three layers, dequantize
  CHECK(named_parameters(lowered).empty());
  CHECK(lowered.buffers.empty());
  for (const Isa isa : isas_here())
    for (const int t : {1, 2, 3}) {
      const IsaScope scope(isa);
      set_threads(t);
      CHECK(same_bits(lowered(x), expected));
      CHECK(same_bits(g(x, Mode::eval), expected));
    }
  set_threads(0);
  CHECK(same_bits(lowered(x.rows(5, 6)), expected.rows(5, 6).clone()));
}

TEST_CASE("quantized outputs stay near the float ones") {
  const Tensor x = normals({64, 1, 28, 28}, 2);
  const auto net = make_model("mlp", {1, 28, 28}, 10, 5);
  Graph g = capture(*net, x);
  const Tensor exact = g(x);
  quantize(g, calibrate(g, {x}));
  const auto a = exact.to_vector<double>(), b = g(x).to_vector<double>();
  double signal = 0, error = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    signal += a[i] * a[i];
    error += (a[i] - b[i]) * (a[i] - b[i]);
  }
  CHECK(10 * std::log10(signal / error) > 30);  // decibels
}

TEST_CASE("a fake-quantized network trains, learns ranges when asked, and still lowers exactly") {
  const Tensor x = normals({32, 1, 28, 28}, 4), wide = normals({32, 1, 28, 28}, 5, 3);
  std::vector<int32_t> labels(32);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = int32_t(i % 10);
  const Tensor y = Tensor::from(labels, {32});
  Graph g = quantized_mlp(x);
  const auto ranges = [&] {
    std::vector<float> all;
    for (const auto& b : g.buffers)
      for (const float v : b.buffer.value().to_vector<float>()) all.push_back(v);
    return all;
  };
  const auto train = [&](const Tensor& images) {
    Sgd sgd(named_parameters(g), {.rate = 0.02});
    double loss = 0;
    for (int step = 0; step < 12; ++step) {
      Tape tape;
      const Tensor l = softmax_cross_entropy(g(images, Mode::train), y);
      tape.backward(l);
      sgd.step();
      loss = l.item();
    }
    return loss;
  };
  const auto calibrated = ranges();
  const double first = softmax_cross_entropy(g(x, Mode::train), y).item();
  CHECK(train(x) < 0.7 * first);
  CHECK(ranges() == calibrated);
  observe_ranges(g, true);
  train(wide);
  CHECK(ranges() != calibrated);
  CHECK(same_bits(lower(g).clone()(x), g(x, Mode::eval)));
}

TEST_CASE("straight-through gradients stop outside the range") {
  Buffer range(Tensor::from<float>({-1, 1}, {2}));
  Tape tape;
  const Tensor x = tape.watch(Tensor::from<float>({-3, -0.5f, 0, 0.9f, 2}, {5}));
  const Tensor y = fake_quant(x, range, false, Mode::train);
  tape.backward(y, Tensor::from<float>({1, 2, 3, 4, 5}, {5}));
  CHECK(tape.grad(x).to_vector<float>() == std::vector<float>{0, 2, 3, 4, 0});
  CHECK(y.to_vector<float>()[2] == 0);
}

TEST_CASE("quantize and lower say what they cannot do") {
  const Tensor x = normals({2, 1, 28, 28}, 1);
  Graph g = quantized_mlp(x);
  CHECK_THROWS_WITH_AS(quantize(g, calibrate(g, {x})), doctest::Contains("quantized already"),
                       Error);
  CHECK_THROWS_WITH_AS(calibrate(g, {}), doctest::Contains("no data"), Error);
  const auto net = make_model("mlp", {1, 28, 28}, 10, 5);
  Graph plain = capture(*net, x);
  CHECK_THROWS_WITH_AS(lower(plain), doctest::Contains("no fake-quantized layer"), Error);
  CHECK_THROWS_WITH_AS(quantize(plain, {}), doctest::Contains("calibration saw no value"), Error);
  const Tensor bad = Tensor::full({1, 1, 28, 28}, std::nan(""));
  CHECK_THROWS_WITH_AS(calibrate(plain, {bad}), doctest::Contains("not finite"), Error);
}

TEST_CASE("a network with convolutions keeps them in floats and says so") {
  const auto net = make_model("lenet5-classic", {1, 28, 28}, 10, 5);
  const Tensor x = normals({6, 1, 28, 28}, 8);
  Graph g = capture(*net, x);
  const QuantizeReport report = quantize(g, calibrate(g, {x}));
  CHECK(report.quantized.size() == 3);
  CHECK(report.left_float.size() == 2);
  CHECK(same_bits(lower(g).clone()(x), g(x, Mode::eval)));
}

TEST_CASE("lowering takes weights as the network uses them: masked, or constants") {
  const Tensor x = normals({3, 4}, 1);
  Sequential net;
  net.add<Dense>("d", 4, 3);
  initialize(net, 1);
  Graph g = capture(net, x);
  for (auto& [name, p] : named_parameters(g))
    if (name == "d.weight") {
      const Tensor mask = Tensor::full({3, 4}, 1, DType::u8);
      mask.data<uint8_t>()[0] = mask.data<uint8_t>()[5] = 0;
      p.set_mask(mask, MaskKind::soft);
    }
  quantize(g, calibrate(g, {x}));
  CHECK(same_bits(g(x), lower(g)(x)));

  struct Fixed : Module {
    Dense dense_{3, 3};
    Tensor w = normals({3, 4}, 2), b = normals({3}, 3);
    Tensor forward(const Tensor& in, Mode) override { return dense_(dense(in, w, b)); }
    void visit(Visitor& v) override { v("dense", dense_); }
  } fixed;
  initialize(fixed, 1);
  Graph f = capture(fixed, x);
  quantize(f, calibrate(f, {x}));
  CHECK(same_bits(f(x), lower(f)(x)));
}
