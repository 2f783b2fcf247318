// The checks that every op case goes through; see op_cases.h.
#include <algorithm>
#include <cmath>

#include "autograd/tape.h"
#include "core/random.h"
#include "tests/support/op_cases.h"

namespace pare::testing {
namespace {

Tensors prepared(const OpCase& c, DType dtype, Format format, Device device) {
  Tensors inputs;
  for (const Tensor& x : c.inputs) {
    Tensor t = x.dtype() == DType::f64 ? x.to(dtype) : x;
    if (format != Format::plain && t.rank() == 4) t = t.in_format(format);
    inputs.push_back(t.to(device));
  }
  return inputs;
}

Tensor direction(const Tensor& y, size_t output) {
  Rng rng(31 + output);
  std::vector<double> v(size_t(y.elements()));
  for (double& x : v) x = 2 * double(rng.uniform()) - 1;
  return Tensor::from(v, y.shape()).to(y.dtype()).in_format(y.format()).to(y.device());
}

double unit(DType dtype) { return dtype == DType::f32 ? 0x1p-24 : 0x1p-53; }

void compare(const OpCase& c, const char* what, size_t which, const std::vector<double>& got,
             const std::vector<double>& want, double bound) {
  check(got.size() == want.size(), "{} ({}): {} {} has {} elements, expected {}", c.op, c.name,
        what, which, got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i)
    check(std::abs(got[i] - want[i]) <= bound || (std::isnan(got[i]) && std::isnan(want[i])),
          "{} ({}): {} {}, element {}: got {}, expected {}, off by {}, allowed {}", c.op, c.name,
          what, which, i, got[i], want[i], std::abs(got[i] - want[i]), bound);
}

// Per output and float input, in that order; an undefined tensor where there is no gradient.
Tensors gradients(const OpCase& c, DType dtype, Format format, Device device) {
  Tensors grads;
  for (size_t output = 0;; ++output) {
    Tape tape;
    Tensors inputs = prepared(c, dtype, format, device);
    for (Tensor& x : inputs)
      if (is_float(x.dtype())) x = tape.watch(x);
    const Tensors outputs = c.run(inputs);
    tape.backward(outputs[output], direction(outputs[output], output));
    for (const Tensor& x : inputs)
      if (is_float(x.dtype())) grads.push_back(tape.grad(x));
    if (output + 1 == outputs.size()) return grads;
  }
}

}  // namespace

size_t Array::offset(const Index& index) const {
  int64_t at = 0;
  for (int i = 0; i < shape.rank(); ++i) at = at * shape[i] + index[size_t(i)];
  return size_t(at);
}

void for_indices(const Shape& shape, const std::function<void(const Index&)>& f) {
  Index index(size_t(shape.rank()), 0);
  for (int64_t n = shape.elements(); n > 0; --n) {
    f(index);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++index[size_t(axis)] < shape[axis]) break;
      index[size_t(axis)] = 0;
    }
  }
}

void check_forward(const OpCase& c, DType dtype, Format format, Device device) {
  Arrays arrays;
  for (const Tensor& x : c.inputs) {
    arrays.emplace_back(x.shape());
    arrays.back().v = x.to_vector<double>();
  }
  const Arrays want = c.plain(arrays);
  const Tensors got = c.run(prepared(c, dtype, format, device));
  check(got.size() == want.size(), "{} ({}): {} outputs, expected {}", c.op, c.name, got.size(),
        want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    check(got[i].shape() == want[i].shape, "{} ({}): output {} is {}, expected {}", c.op, c.name, i,
          got[i].shape(), want[i].shape);
    check(got[i].device() == device, "{} ({}): output {} is on {}", c.op, c.name, i,
          to_string(got[i].device()));
    compare(c, "output", i, got[i].to_vector<double>(), want[i].v, c.forward_units * unit(dtype));
  }
}

void check_gradients(const OpCase& c, Format format, Device device) {
  const Tensors want = gradients(c, DType::f64, Format::plain, {});
  const Tensors got = gradients(c, DType::f32, format, device);
  for (size_t i = 0; i < want.size(); ++i) {
    check(got[i].defined() == want[i].defined(), "{} ({}): gradient {} is {}", c.op, c.name, i,
          got[i].defined() ? "there but should not be" : "missing");
    if (got[i].defined())
      compare(c, "gradient", i, got[i].to_vector<double>(), want[i].to_vector<double>(),
              c.gradient_units * unit(DType::f32));
  }
}

std::vector<float> outputs_and_gradients(const OpCase& c, Device device) {
  std::vector<float> all;
  const auto append = [&](const Tensor& t) {
    if (!t.defined()) return;
    const auto v = t.to_vector<float>();
    all.insert(all.end(), v.begin(), v.end());
  };
  for (const Tensor& t : c.run(prepared(c, DType::f32, Format::plain, device))) append(t);
  for (const Tensor& t : gradients(c, DType::f32, Format::plain, device)) append(t);
  return all;
}

}  // namespace pare::testing
