// max_pool2d: y = the largest element of each window; the gradient goes to the first such element.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

const Op definition{
    .name = "max_pool2d",
    .saves_inputs = 1,
    .saves_outputs = 1,
    .infer =
        [](Call& c) {
          const Tensor& x = c.x();
          const int64_t kernel = c.attrs->integer("kernel"), stride = c.attrs->integer("stride");
          check(x.rank() == 4 && is_float(x.dtype()),
                "max_pool2d: input {} {}, expected 4 float axes", x.dtype(), x.shape());
          check(kernel >= 1 && stride >= 1 && kernel <= x.size(2) && kernel <= x.size(3),
                "max_pool2d: window {} with stride {} on input {}", kernel, stride, x.shape());
          c.require(0, Format::nhwc);
          c.output({x.size(0), x.size(1), (x.size(2) - kernel) / stride + 1,
                    (x.size(3) - kernel) / stride + 1},
                   x.dtype(), Format::nhwc);
        },
    .coupling = Coupling::per_channel,
};

}  // namespace

const Op& max_pool2d_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor max_pool2d(const Tensor& x, int kernel, int stride) {
  return apply(max_pool2d_op(), {&x},
               Attrs().set("kernel", kernel).set("stride", stride ? stride : kernel));
}

}  // namespace pare
