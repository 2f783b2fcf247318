// NaN and infinity go through products as on the CPU, whatever their bits: a GPU makes the NaN
// 0x7fffffff, a CPU 0xffc00000, and neither may leave a product as a number.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <functional>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/backend.h"
#include "tests/cuda/devices.h"

using namespace pare;
using namespace pare::testing;

namespace {

struct Product {
  const char* name;
  std::vector<Shape> inputs;
  Shape output;
  std::function<Tensor(const std::vector<Tensor>&)> run;
};

std::vector<Product> products(bool relu) {
  const auto conv = [relu](Conv2dOptions o) {
    o.relu = relu;
    return [o](const std::vector<Tensor>& in) { return conv2d(in[0], in[1], in[2], o); };
  };
  return {
      {"dense",
       {{5, 8}, {6, 8}, {6}},
       {5, 6},
       [relu](const std::vector<Tensor>& in) { return dense(in[0], in[1], in[2], relu); }},
      {"dense, odd",
       {{3, 7}, {5, 7}, {5}},
       {3, 5},
       [relu](const std::vector<Tensor>& in) { return dense(in[0], in[1], in[2], relu); }},
      {"conv2d", {{2, 4, 6, 5}, {8, 4, 3, 3}, {8}}, {2, 8, 4, 3}, conv({})},
      {"conv2d, strided", {{1, 3, 7, 7}, {5, 3, 3, 3}, {5}}, {1, 5, 3, 3}, conv({.stride = 2})},
      {"conv2d, groups", {{1, 8, 5, 5}, {6, 4, 3, 3}, {6}}, {1, 6, 3, 3}, conv({.groups = 2})},
      {"conv2d, depthwise", {{1, 4, 5, 5}, {4, 1, 3, 3}, {4}}, {1, 4, 3, 3}, conv({.groups = 4})}};
}

// Halves of odd numbers, of both signs, so that no product is zero; element `at` is `special`.
Tensor halves(const Shape& shape, int64_t at, float special) {
  std::vector<float> v(size_t(shape.elements()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = float(int(i * 7 % 11) - 5) + 0.5f;
  if (at >= 0) v[size_t(at) % v.size()] = special;
  return Tensor::from(v, shape);
}

// The output and the gradients of all inputs; operand `which` (the last: the output's gradient)
// holds the special number.
std::vector<std::vector<float>> results(const Product& p, size_t which, float special,
                                        Device device) {
  Tape tape;
  std::vector<Tensor> in;
  for (size_t i = 0; i < p.inputs.size(); ++i)
    in.push_back(tape.watch(halves(p.inputs[i], i == which ? 3 : -1, special).to(device)));
  const Tensor y = p.run(in);
  tape.backward(y, halves(p.output, which == in.size() ? 7 : -1, special).to(device));
  std::vector<std::vector<float>> all{y.to_vector<float>()};
  for (const Tensor& x : in) all.push_back(tape.grad(x).to_vector<float>());
  return all;
}

int kind(float x) { return std::isnan(x) ? 2 : std::isinf(x) ? (x > 0 ? 1 : -1) : 0; }

}  // namespace

TEST_CASE("NaN and infinity leave a product where they leave the CPU's") {
  for (const Device device : cuda_devices())
    for (const Precision precision : precisions_of(device))
      for (const bool relu : {false, true})
        for (const Product& p : products(relu)) {
          // What a vendor's ReLU makes of NaN is not written anywhere.
          if (relu && vendor_products(device) && p.name[0] == 'd') continue;
          for (const uint32_t bits : {0x7fffffffu, 0xffffffffu, 0x7fc00000u, 0xffc00000u,
                                      0x7f800001u, 0x7f800000u, 0xff800000u})
            for (size_t which = 0; which <= p.inputs.size(); ++which) {
              CAPTURE(to_string(device));
              CAPTURE(std::string(to_string(precision)));
              CAPTURE(std::string(p.name));
              CAPTURE(relu);
              CAPTURE(bits);
              CAPTURE(which);
              const auto special = std::bit_cast<float>(bits);
              const auto want = results(p, which, special, {});
              const PrecisionScope scope(precision);
              const auto got = results(p, which, special, device);
              for (size_t i = 0; i < want.size(); ++i) {
                // Where a filter's tap lies beyond the gradient's image it meets a zero, and zero
                // times NaN is NaN; the CPU leaves such taps out.
                const bool beyond = p.name[0] == 'c' && which == 1 && i == 1;
                bool same = want[i].size() == got[i].size();
                for (size_t k = 0; same && k < want[i].size(); ++k)
                  same = kind(want[i][k]) == kind(got[i][k]) || (beyond && kind(got[i][k]) == 2);
                CAPTURE(i);
                CHECK(same);
              }
            }
        }
}

TEST_CASE("roundings of factors keep NaN and infinity") {
  for (const uint32_t bits : {0x7fffffffu, 0xffffffffu, 0x7fc00000u, 0x7f800001u, 0xff801000u}) {
    const auto x = std::bit_cast<float>(bits);
    CHECK(std::isnan(std::bit_cast<float>(cuda::to_tf32(x))));
    CHECK(std::isnan(float(cuda::BFloat16(x))));
  }
  for (const float x : {INFINITY, -INFINITY}) {
    CHECK(std::bit_cast<float>(cuda::to_tf32(x)) == x);
    CHECK(float(cuda::BFloat16(x)) == x);
  }
}

TEST_CASE("what nobody wrote leaves every product as NaN" * doctest::test_suite("emulated")) {
  const Device emulated{DeviceType::cuda_emulated, 0};
  for (const Precision precision : precisions_of(emulated)) {
    CAPTURE(std::string(to_string(precision)));
    const PrecisionScope scope(precision);
    const Tensor stale = Tensor::empty({5, 8}, DType::f32, Format::plain, emulated);
    const Tensor w = Tensor::full({6, 8}, 1, DType::f32, emulated),
                 bias = Tensor::zeros({6}, DType::f32, emulated);
    for (const float y : dense(stale, w, bias).to_vector<float>()) CHECK(std::isnan(y));
  }
}
