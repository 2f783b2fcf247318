// conv2d: y[n][o][i][j] = act(sum over c, a, b of x[n][c][i s + a d - p][j s + b d - p]
// w[o][c][a][b]
//         + bias[o]), channels in groups. Works on nhwc storage.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

const Op definition{
    .name = "conv2d",
    .inputs = {2, 3},
    .buffers = {0, 0},
    .attributes = {{{"stride"}, {"padding"}, {"dilation"}, {"groups"}, {"relu"}}},
    .saves_inputs = 3,
    .saves_outputs = 1,
    .infer =
        [](Call& c) {
          const Tensor &x = c.x(), &w = c.x(1);
          const Tensor b = c.inputs.size() > 2 ? c.x(2) : Tensor();
          const int64_t stride = c.attrs->integer("stride"), padding = c.attrs->integer("padding");
          const int64_t dilation = c.attrs->integer("dilation"),
                        groups = c.attrs->integer("groups");
          check(x.rank() == 4 && w.rank() == 4,
                "conv2d: input {} and weight {}, expected 4 axes each", x.shape(), w.shape());
          constexpr int64_t most = int64_t(1) << 20;
          check(stride >= 1 && padding >= 0 && dilation >= 1 && groups >= 1 && stride <= most &&
                    padding <= most && dilation <= most && groups <= w.size(0),
                "conv2d: stride {}, padding {}, dilation {}, groups {} are out of range", stride,
                padding, dilation, groups);
          check(w.size(0) % groups == 0 && x.size(1) == w.size(1) * groups,
                "conv2d: input has {} channels, weight {} in {} groups expects {}", x.size(1),
                w.shape(), groups, w.size(1) * groups);
          check(!b.defined() || (b.shape() == Shape{w.size(0)} && b.dtype() == w.dtype()),
                "conv2d: bias is {} {}, weight {} {} needs {} {}", b.dtype(), b.shape(), w.dtype(),
                w.shape(), w.dtype(), w.size(0));
          check(x.dtype() == w.dtype() && is_float(x.dtype()),
                "conv2d: input {}, weight {}; expected one floating-point type", x.dtype(),
                w.dtype());
          Shape y{x.size(0), w.size(0)};
          for (const int axis : {2, 3}) {
            check(w.size(axis) <= most && x.size(axis) <= most, "conv2d: input {}, weight {}",
                  x.shape(), w.shape());
            const int64_t reach = dilation * (w.size(axis) - 1) + 1;
            const int64_t room = x.size(axis) + 2 * padding - reach;
            check(room >= 0 && w.size(axis) > 0,
                  "conv2d: a window of {} does not fit into input {}", reach, x.shape());
            y.push_back(room / stride + 1);
          }
          int64_t padded = 0;  // one image of the padded input, which the kernels make
          check(!__builtin_mul_overflow((x.size(2) + 2 * padding) * x.size(1),
                                        (x.size(3) + 2 * padding) * int64_t(size_of(x.dtype())),
                                        &padded),
                "conv2d: input {} is too large for padding {}", x.shape(), padding);
          c.workspace(padded);
          c.require(0, Format::nhwc);
          c.require(1, Format::plain);
          c.output(y, x.dtype(), Format::nhwc);
        },
    .coupling = Coupling::producer,
    .macs =
        [](const Call& c) {
          const Shape& y = c.outputs[0].shape();
          return y[0] * y[2] * y[3] * c.x(1).elements();
        },
};

}  // namespace

const Op& conv2d_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& o) {
  const Attrs attrs = Attrs()
                          .set("stride", o.stride)
                          .set("padding", o.padding)
                          .set("dilation", o.dilation)
                          .set("groups", o.groups)
                          .set("relu", o.relu);
  return bias.defined() ? apply(conv2d_op(), {&x, &weight, &bias}, attrs)
                        : apply(conv2d_op(), {&x, &weight}, attrs);
}

}  // namespace pare
