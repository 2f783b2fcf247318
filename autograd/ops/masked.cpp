// masked: y = mask ? x : 0, for a u8 mask of x's shape. What a soft mask does to its parameter.
#include "autograd/ops/builtin.h"
#include "autograd/tape.h"

namespace pare {
namespace {

const Op definition{
    .name = "masked",
    .inputs = {2, 2},
    .buffers = {0, 0},
    .saves_inputs = 2,
    .infer =
        [](Call& c) {
          check(c.x(1).shape() == c.x().shape() && c.x(1).dtype() == DType::u8,
                "masked: the mask is {} {}, expected u8 {}", c.x(1).dtype(), c.x(1).shape(),
                c.x().shape());
          check(is_float(c.x().dtype()), "masked: the input is {}, expected floating point",
                c.x().dtype());
          c.require(1, c.x().format());
          c.output(c.x().shape(), c.x().dtype(), c.x().format());
        },
    .coupling = Coupling::elementwise,
};

}  // namespace

const Op& masked_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor masked(const Tensor& x, const Tensor& mask) { return apply(masked_op(), {&x, &mask}); }

}  // namespace pare
