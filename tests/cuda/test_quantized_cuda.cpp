// Quantized networks on every CUDA device present: the CPU's bits.
#include <doctest/doctest.h>

#include <limits>

#include "autograd/tape.h"
#include "compress/ops.h"
#include "compress/quantize/integers.h"
#include "compress/quantize/ops.h"
#include "core/device.h"
#include "core/random.h"
#include "tests/cuda/devices.h"
#include "tests/support/op_case_list.h"

using namespace pare;
using namespace pare::testing;

namespace {

// Bytes of which many are extreme.
Tensor bytes(const Shape& shape, DType dtype, uint64_t seed) {
  Tensor t = Tensor::empty(shape, dtype);
  Rng rng(seed);
  const int low = dtype == DType::i8 ? -127 : 0, high = dtype == DType::i8 ? 127 : 255;
  for (int64_t i = 0; i < t.elements(); ++i) {
    const int v = low + int(rng.below(uint64_t(high - low + 1)));
    const int extreme = int(rng.below(4));
    t.data<uint8_t>()[i] = uint8_t(extreme == 0 ? low : extreme == 1 ? high : v);
  }
  return t;
}

// The arithmetic, one output at a time.
std::vector<int> reference(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& m,
                           int zero, bool relu) {
  std::vector<int> y;
  for (int64_t r = 0; r < x.size(0); ++r)
    for (int64_t o = 0; o < w.size(0); ++o) {
      int64_t acc = bias.data<int32_t>()[o];
      for (int64_t k = 0; k < w.size(1); ++k)
        acc += int64_t(x.data<uint8_t>()[r * w.size(1) + k]) * w.data<int8_t>()[o * w.size(1) + k];
      REQUIRE(std::abs(acc) <= std::numeric_limits<int32_t>::max());
      y.push_back(requantize(int32_t(acc), m.data<float>()[o], zero, relu));
    }
  return y;
}

}  // namespace

TEST_CASE("int8 dense equals the scalar integers bit for bit") {
  struct Sizes {
    int64_t n, in, out;
  };
  for (const Device device : cuda_devices())
    for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{3, 5, 2}, Sizes{70, 64, 65}, Sizes{65, 130, 3},
                           Sizes{2, 784, 10}, Sizes{17, 84, 66}, Sizes{64, 192, 64},
                           Sizes{5, 63, 9}, Sizes{1, 33000, 2}, Sizes{0, 16, 4}})
      for (const bool relu : {false, true}) {
        CAPTURE(s.n);
        CAPTURE(s.in);
        CAPTURE(s.out);
        Tensor x = bytes({s.n, s.in}, DType::u8, 1), w = bytes({s.out, s.in}, DType::i8, 2),
               bias = Tensor::empty({s.out}, DType::i32), m = Tensor::empty({s.out});
        for (int64_t o = 0; o < s.out; ++o) {
          bias.data<int32_t>()[o] = int32_t(o % 3 - 1) * (o % 2 ? 1 << 30 : 12345);
          m.data<float>()[o] = float(o % 4 == 3 ? 1e30 : 20.0 / (double(s.in) * 127 + 1));
        }
        if (s.in == 33000) {  // the largest sums there are
          x.fill(255);
          w.fill(127);
          w.rows(1, 2).fill(-127);
          bias.data<int32_t>()[0] = 1 << 30;
          bias.data<int32_t>()[1] = -(1 << 30);
        }
        const Tensor dx = x.to(device), dw = w.to(device), db = bias.to(device), dm = m.to(device);
        const Tensor y = apply(int8_dense_op(), {&dx, &dw, &db, &dm},
                               Attrs().set("y_zero", 37).set("relu", relu));
        CHECK(y.to_vector<int>() == reference(x, w, bias, m, 37, relu));
      }
}

TEST_CASE("quantize, dequantize and fake quantization give the bits of the CPU") {
  for (const Device device : cuda_devices())
    for (const int64_t n : {1, 33, 9001}) {
      Tensor x = noise({n}, 4, -3, 5).to(DType::f32);
      x.data<float>()[0] = 1e30f;
      if (n > 8) {
        x.data<float>()[3] = NAN;
        x.data<float>()[5] = -INFINITY;
        x.data<float>()[7] = 0.5f * 0.03f;  // a tie
      }
      const Attrs attrs = Attrs().set("scale", double(0.03f)).set("zero", 100);
      const Tensor there = x.to(device);
      const Tensor q = apply(quantize_op(), {&x}, attrs), p = apply(quantize_op(), {&there}, attrs);
      CHECK(p.to_vector<int>() == q.to_vector<int>());
      CHECK(apply(dequantize_op(), {&p}, attrs).to_vector<float>() ==
            apply(dequantize_op(), {&q}, attrs).to_vector<float>());

      const auto train = [&](Device where) {
        Buffer range(Tensor::zeros({2}).to(where));
        std::vector<float> all;
        const auto add = [&](const Tensor& t) {
          for (const float v : t.to_vector<float>()) all.push_back(v);
        };
        for (uint64_t step = 0; step < 3; ++step) {
          Tape tape;
          const Tensor in = tape.watch(noise({n}, step, -double(step), 1).to(DType::f32).to(where));
          const Tensor y = fake_quant(in, range, step < 2, Mode::train, 0.25);
          tape.backward(y, noise({n}, 50 + step).to(DType::f32).to(where));
          add(y);
          add(tape.grad(in));
          add(range.value());
        }
        return all;
      };
      CHECK(train(device) == train({}));
    }
}

TEST_CASE("weights are rounded by channel as on the CPU") {
  for (const Device device : cuda_devices())
    for (const int64_t in : {1, 31, 1000}) {
      Tensor w = noise({7, in}, 6).to(DType::f32);
      w.rows(2, 3).fill(0);
      w.rows(3, 4).fill(-1e-35);
      CHECK(fake_quant_weight(w.to(device)).to_vector<float>() ==
            fake_quant_weight(w).to_vector<float>());
    }
}

TEST_CASE("a range that is not finite is told") {
  for (const Device device : cuda_devices()) {
    Buffer range(Tensor::from<float>({0, INFINITY}, {2}).to(device));
    const Tensor y = fake_quant(Tensor::full({5}, 1, DType::f32, device), range, false, Mode::eval);
    CHECK_THROWS_WITH_AS(y.to_vector<float>(), doctest::Contains("it must be finite"), Error);
    CHECK_NOTHROW(y.to_vector<float>());
  }
}
