// The graph ops of the pointwise list, and the public functions over them.
#include "core/pointwise.h"

#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

void infer_same(Call& c) {
  check(is_float(c.x().dtype()), "{}: the input is {}, expected floating point", c.op->name,
        c.x().dtype());
  c.output(c.x().shape(), c.x().dtype(), c.x().format());
}

template <class F>
const Op& pointwise_op() {
  constexpr auto rule = [](const char* name) { return AttrRule{name, Attrs::Kind::real}; };
  static const Op& op =
      register_op(Op{.name = F::name,
                     .inputs = {1, 1},
                     .buffers = {0, 0},
                     .attributes = {rule(F::attributes[0]), rule(F::attributes[1])},
                     .saves_inputs = F::saves_output ? 0u : 1u,
                     .saves_outputs = F::saves_output ? 1u : 0u,
                     .infer = infer_same,
                     .coupling = Coupling::elementwise});
  return op;
}

template <class F>
Tensor call(const Tensor& x, double a = 0, double b = 0) {
  Attrs attrs;
  if (F::attributes[0]) attrs.set(F::attributes[0], a);
  if (F::attributes[1]) attrs.set(F::attributes[1], b);
  return apply(pointwise_op<F>(), {&x}, attrs);
}

}  // namespace

void register_pointwise_ops() {
  pointwise::All::for_each([](auto op) { pointwise_op<decltype(op)>(); });
}

Tensor neg(const Tensor& x) { return call<pointwise::Neg>(x); }
Tensor exp(const Tensor& x) { return call<pointwise::Exp>(x); }
Tensor log(const Tensor& x) { return call<pointwise::Log>(x); }
Tensor sqrt(const Tensor& x) { return call<pointwise::Sqrt>(x); }
Tensor square(const Tensor& x) { return call<pointwise::Square>(x); }
Tensor abs(const Tensor& x) { return call<pointwise::Abs>(x); }
Tensor relu(const Tensor& x) { return call<pointwise::Relu>(x); }
Tensor leaky_relu(const Tensor& x, double slope) { return call<pointwise::LeakyRelu>(x, slope); }
Tensor sigmoid(const Tensor& x) { return call<pointwise::Sigmoid>(x); }
Tensor tanh(const Tensor& x) { return call<pointwise::Tanh>(x); }
Tensor gelu(const Tensor& x) { return call<pointwise::Gelu>(x); }
Tensor silu(const Tensor& x) { return call<pointwise::Silu>(x); }
Tensor clamp(const Tensor& x, double low, double high) {
  check(low <= high, "clamp: low {} is above high {}", low, high);
  return call<pointwise::Clamp>(x, low, high);
}
Tensor add_scalar(const Tensor& x, double scalar) { return call<pointwise::AddScalar>(x, scalar); }
Tensor mul_scalar(const Tensor& x, double scalar) { return call<pointwise::MulScalar>(x, scalar); }

}  // namespace pare
