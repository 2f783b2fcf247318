// dropout (Srivastava et al. 2014): in training y = keep ? x / (1 - p) : 0, in evaluation y = x.
// keep is a function of (seed, step, node name, logical element), so it does not depend on storage
// format, threads or call order, and backward works it out again instead of storing it.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

const Op definition{
    .name = "dropout",
    .inputs = {1, 1},
    .buffers = {0, 0},
    .attributes = {{{"p", Attrs::Kind::real}}},
    .infer =
        [](Call& c) {
          const double p = c.attrs->real("p");
          check(p >= 0 && p < 1, "dropout: p is {}, expected 0 <= p < 1", p);
          check(is_float(c.x().dtype()), "dropout: the input is {}, expected floating point",
                c.x().dtype());
          c.output(c.x().shape(), c.x().dtype(), c.x().format());
        },
    .keyed = true,
    .replays_keyed = true,
    .coupling = Coupling::elementwise,
};

}  // namespace

const Op& dropout_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor dropout(const Tensor& x, double p, Mode mode) {
  return apply(dropout_op(), {&x}, Attrs().set("p", p), {.mode = mode});
}

}  // namespace pare
