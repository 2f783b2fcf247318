// Elementwise ops of two tensors of one shape.
//   add: y = a + b; da = db = dy.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

const Op definition{
    .name = "add",
    .infer =
        [](Call& c) {
          const Tensor &a = c.x(), &b = c.x(1);
          check(a.shape() == b.shape() && a.dtype() == b.dtype() && is_float(a.dtype()),
                "add: {} {} and {} {}, expected one shape and floating-point type", a.dtype(),
                a.shape(), b.dtype(), b.shape());
          c.require(1, a.format());
          c.output(a.shape(), a.dtype(), a.format());
        },
    .backward = [](BackwardCall& c) { c.passed[0] = c.passed[1] = c.grad_outputs[0]; },
    .passes_gradients = true,
    .coupling = Coupling::elementwise,
};

}  // namespace

const Op& add_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor add(const Tensor& a, const Tensor& b) { return apply(add_op(), {&a, &b}); }

}  // namespace pare
