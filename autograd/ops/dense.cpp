// dense: y[n][o] = act(sum over i of x[n][i] w[o][i] + b[o]).
//   dx = g w, dw = g^T x, db = column sums of g, with g = dy where y > 0 (relu) or dy.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

void infer(Call& c) {
  const Tensor &x = c.x(), &w = c.x(1), &b = c.x(2);
  check(x.rank() == 2 && w.rank() == 2, "dense: input {} and weight {}, expected 2 axes each",
        x.shape(), w.shape());
  check(x.size(1) == w.size(1),
        "dense: input has {} features, weight expects {} [input {}, weight {}]", x.size(1),
        w.size(1), x.shape(), w.shape());
  check(b.shape() == Shape{w.size(0)}, "dense: bias is {}, weight {} needs {}", b.shape(),
        w.shape(), w.size(0));
  check(x.dtype() == w.dtype() && x.dtype() == b.dtype() && is_float(x.dtype()),
        "dense: input {}, weight {}, bias {}; expected one floating-point type", x.dtype(),
        w.dtype(), b.dtype());
  c.output({x.size(0), w.size(0)});
}

// The same with a frozen mask on the weight, for training steps: inputs x, w, b, pattern. Products
// of kept weights alone; dw is written where the mask keeps (core/cpu/masked_dense.cpp).
const Op* masked_form(std::span<const Tensor> in) {
  static const Op& op = internal_op({.name = "masked_dense",
                                     .saves_inputs = 1 | 2 | 8,
                                     .saves_outputs = 1,
                                     .infer = infer,
                                     .writes_kept_gradient = true});
  constexpr int64_t worth_it = 16;
  const bool pays = in[0].rank() == 2 && in[0].size(0) >= worth_it && in[0].dtype() == DType::f32 &&
                    in[0].device().type == DeviceType::cpu;
  return pays ? &op : nullptr;
}

const Op definition{
    .name = "dense",
    .inputs = {3, 3},
    .buffers = {0, 0},
    .attributes = {{{"relu"}}},
    .saves_inputs = 3,
    .saves_outputs = 1,
    .infer = infer,
    .coupling = Coupling::producer,
    .masked_form = masked_form,
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
