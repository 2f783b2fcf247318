// Denormals count as zero in kernels, on every device alike: those of the CPU and of each CUDA
// device present. In f64 a GPU keeps them (it knows no other way), so f64 is left to the emulation;
// and so does the maker's library, which dense layers are left to where there is one.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/device.h"
#include "optim/optimizer.h"
#include "tests/cuda/devices.h"
#include "tests/support/op_case_list.h"

using namespace pare;
using namespace pare::testing;

namespace {

template <class T>
bool is_denormal(T v) {
  return std::fpclassify(v) == FP_SUBNORMAL;
}

// The case with its numbers so small that sums or products of two are denormal, none itself.
OpCase shrunk(OpCase c, int exponent) {
  for (Tensor& x : c.inputs) {
    if (x.dtype() != DType::f64) continue;
    std::vector<double> v = x.to_vector<double>();
    for (double& e : v) {
      const auto small = float(std::ldexp(e, exponent));
      e = is_denormal(small) ? 0 : double(small);
    }
    x = Tensor::from(v, x.shape());
  }
  return c;
}

// Numbers whose exponents lie around that of the smallest normal one, some denormal.
template <class T>
Tensor around_the_smallest(int64_t n, uint64_t key) {
  const Tensor mantissa = noise({n}, key), exponent = noise({n}, key + 1, -25, 60);
  std::vector<T> v(size_t(n), T(0));
  for (size_t i = 0; i < v.size(); ++i)
    v[i] = T(std::ldexp(mantissa.data<double>()[i],
                        (sizeof(T) == 8 ? -1022 : -126) + int(exponent.data<double>()[i])));
  return Tensor::from(v, {n});
}

// Values and gradients of what the CPU computes element by element.
template <class T>
std::vector<T> arithmetic(Device device) {
  using Function = Tensor (*)(const Tensor&, const Tensor&);
  static constexpr Function functions[] = {
      [](const Tensor& x, const Tensor& y) { return x + y; },
      [](const Tensor& x, const Tensor& y) { return x - y; },
      [](const Tensor& x, const Tensor& y) { return x * y + x * x; },
      [](const Tensor& x, const Tensor& y) { return x / y; },
      [](const Tensor& x, const Tensor&) { return exp(x); },
      [](const Tensor& x, const Tensor&) { return log(x); },
      [](const Tensor& x, const Tensor&) { return sqrt(x); },
      [](const Tensor& x, const Tensor& y) { return tanh(x) * sigmoid(y); },
      [](const Tensor& x, const Tensor& y) { return gelu(x) + silu(y); },
      [](const Tensor& x, const Tensor&) { return x * 0.25; }};
  std::vector<T> all;
  const auto append = [&](const Tensor& t) {
    if (!t.defined()) return;
    const auto v = t.to_vector<T>();
    all.insert(all.end(), v.begin(), v.end());
  };
  constexpr int64_t n = 1003;
  for (const Function f : functions) {
    Tape tape;
    const Tensor x = tape.watch(around_the_smallest<T>(n, 1).to(device)),
                 y = tape.watch(around_the_smallest<T>(n, 3).to(device)), z = f(x, y);
    append(z);
    tape.backward(z, around_the_smallest<T>(n, 5).to(device));
    append(tape.grad(x));
    append(tape.grad(y));
  }
  const Tensor x = around_the_smallest<T>(n, 1).to(device);
  append(x.to(sizeof(T) == 8 ? DType::f32 : DType::f64));
  return all;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](T x, T y) {
           return x == y || (std::isnan(x) && std::isnan(y));
         });
}

std::vector<Device> all_devices() {
  std::vector<Device> devices = cuda_devices();
  devices.emplace_back();
  return devices;
}

}  // namespace

TEST_CASE("no kernel makes a denormal number of normal ones") {
  for (const Device device : all_devices())
    for (const OpCase& c : op_cases()) {
      int64_t most = 0;
      for (const Tensor& x : c.inputs) most = std::max(most, x.elements());
      if (device.type == DeviceType::cuda_emulated && most > 10000) continue;
      if (c.op == "dense" && vendor_products(device)) continue;
      CAPTURE(to_string(device));
      CAPTURE(c.op);
      CAPTURE(c.name);
      for (const int exponent : {-70, -124}) {
        CAPTURE(exponent);
        const std::vector<float> found = outputs_and_gradients(shrunk(c, exponent), device);
        CHECK(std::none_of(found.begin(), found.end(), is_denormal<float>));
      }
    }
}

TEST_CASE("arithmetic on denormals has the bits of the CPU") {
  for (const Device device : cuda_devices()) {
    CHECK(same_bits(arithmetic<float>(device), arithmetic<float>({})));
    if (device.type == DeviceType::cuda_emulated)
      CHECK(same_bits(arithmetic<double>(device), arithmetic<double>({})));
  }
}

TEST_CASE("optimizers that step below the smallest normal number have the bits of the CPU") {
  for (const Device device : cuda_devices())
    for (const char* rule : {"sgd", "nesterov", "adam", "adamw"}) {
      CAPTURE(rule);
      const auto step = [&](Device where) {
        const Param p(around_the_smallest<float>(999, 7).to(where));
        OptimizerOptions o{.rate = 0.01, .momentum = 0.9, .weight_decay = 0.02};
        o.name = rule;
        const auto optimizer = make_optimizer({{"p", p}}, o);
        for (uint64_t t = 0; t < 3; ++t) {
          p.state().grad = around_the_smallest<float>(999, 20 + t).to(where);
          p.state().has_grad = true;
          optimizer->step();
        }
        std::vector<float> all = p.value().to_vector<float>();
        for (const auto& [name, slot] : p.state().slots) {
          const auto v = slot.to_vector<float>();
          all.insert(all.end(), v.begin(), v.end());
        }
        return all;
      };
      const std::vector<float> there = step(device);
      CHECK(there == step({}));
      CHECK(std::none_of(there.begin() + 999, there.end(), is_denormal<float>));
    }
}
