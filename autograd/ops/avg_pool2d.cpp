// avg_pool2d: y = the mean of each window.  dx = sum over the windows that hold x of dy / kernel^2.
// global_avg_pool: y[n][c] = the mean of a channel's pixels.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

const Op avg_definition{
    .name = "avg_pool2d",
    .infer =
        [](Call& c) {
          const Tensor& x = c.x();
          const int64_t kernel = c.attrs->integer("kernel"), stride = c.attrs->integer("stride");
          check(x.rank() == 4 && is_float(x.dtype()),
                "avg_pool2d: input {} {}, expected 4 float axes", x.dtype(), x.shape());
          check(kernel >= 1 && stride >= 1 && kernel <= x.size(2) && kernel <= x.size(3),
                "avg_pool2d: window {} with stride {} on input {}", kernel, stride, x.shape());
          c.require(0, Format::nhwc);
          c.output({x.size(0), x.size(1), (x.size(2) - kernel) / stride + 1,
                    (x.size(3) - kernel) / stride + 1},
                   x.dtype(), Format::nhwc);
        },
    .coupling = Coupling::per_channel,
};

const Op global_definition{
    .name = "global_avg_pool",
    .infer =
        [](Call& c) {
          const Tensor& x = c.x();
          check(x.rank() == 4 && is_float(x.dtype()) && x.size(2) * x.size(3) > 0,
                "global_avg_pool: input {} {}, expected 4 float axes with pixels", x.dtype(),
                x.shape());
          c.require(0, Format::nhwc);
          c.output({x.size(0), x.size(1)}, x.dtype(), Format::plain);
        },
    .coupling = Coupling::per_channel,
};

}  // namespace

const Op& avg_pool2d_op() {
  static const Op& op = register_op(avg_definition);
  return op;
}
const Op& global_avg_pool_op() {
  static const Op& op = register_op(global_definition);
  return op;
}

Tensor avg_pool2d(const Tensor& x, int kernel, int stride) {
  return apply(avg_pool2d_op(), {&x},
               Attrs().set("kernel", kernel).set("stride", stride ? stride : kernel));
}
Tensor global_avg_pool(const Tensor& x) { return apply(global_avg_pool_op(), {&x}); }

}  // namespace pare
