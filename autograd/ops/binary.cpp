// add, sub, mul, div: elementwise with broadcasting (NumPy's rules: shapes are aligned at their
// last axis, and an extent of 1 is repeated). A repeated input's gradient is summed over its
// repetitions.
#include <algorithm>

#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

Shape broadcast(const Call& c) {
  const Shape &a = c.x().shape(), &b = c.x(1).shape();
  const int rank = std::max(a.rank(), b.rank());
  Shape y;
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const int64_t m = ia < 0 ? 1 : a[ia], n = ib < 0 ? 1 : b[ib];
    check(m == n || m == 1 || n == 1, "{}: shapes {} and {} do not broadcast", c.op->name, a, b);
    y.push_back(m == 1 ? n : m);
  }
  return y;
}

void infer(Call& c) {
  const Tensor &a = c.x(), &b = c.x(1);
  check(a.dtype() == b.dtype() && is_float(a.dtype()),
        "{}: {} {} and {} {}, expected one floating-point type", c.op->name, a.dtype(), a.shape(),
        b.dtype(), b.shape());
  const bool same = a.shape() == b.shape();
  const Format format = same ? a.format() : Format::plain;
  c.require(0, format);
  c.require(1, format);
  c.output(same ? a.shape() : broadcast(c), a.dtype(), format);
}

// Equal shapes: both inputs share the gradient itself.
void add_backward(BackwardCall& c) {
  for (size_t i = 0; i < 2; ++i) {
    const Tensor& g = c.grad_outputs[0];
    if (c.input_shapes[i] == g.shape()) {
      c.passed[i] = g;
      continue;
    }
    const int extra = g.rank() - c.input_shapes[i].rank();
    Ints axes;
    for (int axis = 0; axis < g.rank(); ++axis)
      if (axis < extra || (c.input_shapes[i][axis - extra] == 1 && g.size(axis) != 1))
        axes.values[axes.count++] = axis;
    c.passed[i] = sum(g, axes).view(c.input_shapes[i]);
  }
}

const Op& define(const char* name, bool adds) {
  Op op{.name = name,
        .inputs = {2, 2},
        .buffers = {0, 0},
        .infer = infer,
        .coupling = Coupling::elementwise};
  if (adds) {
    op.backward = add_backward;
    op.any_device = true;
    op.passes_gradients = true;
  } else {
    op.saves_inputs = 3;
  }
  return register_op(op);
}

}  // namespace

const Op& add_op() {
  static const Op& op = define("add", true);
  return op;
}
const Op& sub_op() {
  static const Op& op = define("sub", false);
  return op;
}
const Op& mul_op() {
  static const Op& op = define("mul", false);
  return op;
}
const Op& div_op() {
  static const Op& op = define("div", false);
  return op;
}

Tensor add(const Tensor& a, const Tensor& b) { return apply(add_op(), {&a, &b}); }
Tensor sub(const Tensor& a, const Tensor& b) { return apply(sub_op(), {&a, &b}); }
Tensor mul(const Tensor& a, const Tensor& b) { return apply(mul_op(), {&a, &b}); }
Tensor div(const Tensor& a, const Tensor& b) { return apply(div_op(), {&a, &b}); }

}  // namespace pare
