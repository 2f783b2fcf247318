// batch_norm (Ioffe and Szegedy 2015), with an optional residual and ReLU fused behind it:
//   y = act(gamma (x - mean) / sqrt(var + eps) + beta (+ residual)), per channel.
// Training uses the batch's mean and (biased) variance and moves the running ones (unbiased)
// towards them; evaluation uses the running ones. Outputs: y, and the mean and 1 / sqrt(var + eps)
// used.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

const Op definition{
    .name = "batch_norm",
    .inputs = {3, 4},
    .buffers = {2, 2},
    .attributes = {{{"momentum", Attrs::Kind::real}, {"epsilon", Attrs::Kind::real}, {"relu"}}},
    .saves_inputs = 3,   // x, gamma
    .saves_outputs = 7,  // y, mean, scale
    .infer =
        [](Call& c) {
          const Tensor& x = c.x();
          check((x.rank() == 2 || x.rank() == 4) && is_float(x.dtype()),
                "batch_norm: input {} {}, expected 2 or 4 float axes", x.dtype(), x.shape());
          const Shape channels{x.size(1)};
          for (const int i : {1, 2})
            check(c.x(i).shape() == channels && c.x(i).dtype() == x.dtype(),
                  "batch_norm: {} is {} {}, input {} {} needs {} {}", i == 1 ? "gamma" : "beta",
                  c.x(i).dtype(), c.x(i).shape(), x.dtype(), x.shape(), x.dtype(), channels);
          for (const Buffer* b : c.buffers)
            check(b->value().shape() == channels && b->value().dtype() == x.dtype(),
                  "batch_norm: a running statistic is {} {}, input {} {} needs {} {}",
                  b->value().dtype(), b->value().shape(), x.dtype(), x.shape(), x.dtype(),
                  channels);
          check(c.mode == Mode::eval || x.elements() > x.size(1),
                "batch_norm: input {} has one value a channel, which has no variance; train with a "
                "larger batch",
                x.shape());
          const Format format = x.rank() == 4 ? Format::nhwc : Format::plain;
          c.require(0, format);
          if (c.inputs.size() > 3) {
            check(c.x(3).shape() == x.shape() && c.x(3).dtype() == x.dtype(),
                  "batch_norm: residual is {}, input {}", c.x(3).shape(), x.shape());
            c.require(3, format);
          }
          c.output(x.shape(), x.dtype(), format);
          c.output(channels);
          c.output(channels);
        },
    .per_image = true,
    .coupling = Coupling::per_channel,
};

}  // namespace

const Op& batch_norm_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, Buffer& running_mean,
                  Buffer& running_variance, Mode mode, const BatchNormOptions& o,
                  const Tensor* residual) {
  const Attrs attrs =
      Attrs().set("momentum", o.momentum).set("epsilon", o.epsilon).set("relu", o.relu);
  Buffer* const buffers[] = {&running_mean, &running_variance};
  const ApplyOptions options{.buffers = buffers, .mode = mode};
  Tensor inputs[] = {x, gamma, beta, residual ? *residual : Tensor()};
  std::array<Tensor, max_outputs> out;
  apply(batch_norm_op(), {inputs, residual ? 4u : 3u}, attrs, out, options);
  return std::move(out[0]);
}

}  // namespace pare
