// dense: y[n][o] = act(sum over i of x[n][i] w[o][i] + b[o]).
//   dx = g w, dw = g^T x, db = column sums of g, with g = dy where y > 0 (relu) or dy.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

const Op definition{
    .name = "dense",
    .inputs = {3, 3},
    .buffers = {0, 0},
    .attributes = {{{"relu"}}},
    .saves_inputs = 3,
    .saves_outputs = 1,
    .infer =
        [](Call& c) {
          const Tensor &x = c.x(), &w = c.x(1), &b = c.x(2);
          check(x.rank() == 2 && w.rank() == 2,
                "dense: input {} and weight {}, expected 2 axes each", x.shape(), w.shape());
          check(x.size(1) == w.size(1),
                "dense: input has {} features, weight expects {} [input {}, weight {}]", x.size(1),
                w.size(1), x.shape(), w.shape());
          check(b.shape() == Shape{w.size(0)}, "dense: bias is {}, weight {} needs {}", b.shape(),
                w.shape(), w.size(0));
          check(x.dtype() == w.dtype() && x.dtype() == b.dtype() && is_float(x.dtype()),
                "dense: input {}, weight {}, bias {}; expected one floating-point type", x.dtype(),
                w.dtype(), b.dtype());
          c.output({x.size(0), w.size(0)});
        },
    .coupling = Coupling::producer,
    .macs = [](const Call& c) { return c.x().size(0) * c.x(1).elements(); },
};

}  // namespace

const Op& dense_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor dense(const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu) {
  return apply(dense_op(), {&x, &weight, &bias}, Attrs().set("relu", relu));
}

}  // namespace pare
