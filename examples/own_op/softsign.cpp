#include "softsign.h"

#include <cmath>

using namespace pare;

namespace {

// Kernels get plain data: float in training, double in gradient checks.
template <class T>
void softsign(const KernelArgs& a) {
  for (int64_t i = 0; i < a.inputs[0].elements; ++i) {
    const T x = a.inputs[0].as<T>()[i];
    a.outputs[0].as<T>()[i] = x / (T(1) + std::abs(x));
  }
}
template <class T>
void softsign_gradient(const KernelArgs& a) {  // dx = dy (1 - |y|)^2
  for (int64_t i = 0; i < a.grad_inputs[0].elements; ++i) {
    const T slope = T(1) - std::abs(a.outputs[0].as<T>()[i]);
    const T g = a.grad_outputs[0].as<T>()[i] * slope * slope;
    T& to = a.grad_inputs[0].as<T>()[i];
    to = a.accumulate[0] ? to + g : g;
  }
}
Status forward(const KernelArgs& a) {
  a.inputs[0].dtype == DType::f64 ? softsign<double>(a) : softsign<float>(a);
  return Status::ok;
}
Status backward(const KernelArgs& a) {
  a.outputs[0].dtype == DType::f64 ? softsign_gradient<double>(a) : softsign_gradient<float>(a);
  return Status::ok;
}

}  // namespace

const Op& softsign_op() {
  static const Op& op = []() -> const Op& {
    register_kernel("softsign.forward", DeviceType::cpu, forward);
    register_kernel("softsign.backward", DeviceType::cpu, backward);
    return register_op({.name = "softsign",
                        .saves_outputs = 1,
                        .infer = [](Call& c) { c.output(c.x().shape()); },
                        .coupling = Coupling::elementwise});
  }();
  return op;
}
