// max_pool2d: y = the largest element of each window; the gradient goes to the first such element.
// avg_pool2d: y = the mean of each window.  dx = sum over the windows that hold x of dy / kernel^2.
// global_avg_pool: y[n][c] = the mean of a channel's pixels.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

void infer_windows(Call& c) {
  const Tensor& x = c.x();
  const int64_t kernel = c.attrs->integer("kernel"), stride = c.attrs->integer("stride");
  check(x.rank() == 4 && is_float(x.dtype()), "{}: input {} {}, expected 4 float axes", c.op->name,
        x.dtype(), x.shape());
  check(kernel >= 1 && stride >= 1 && stride <= int64_t(1) << 20 && kernel <= x.size(2) &&
            kernel <= x.size(3),
        "{}: window {} with stride {} on input {}", c.op->name, kernel, stride, x.shape());
  c.require(0, Format::nhwc);
  c.output(
      {x.size(0), x.size(1), (x.size(2) - kernel) / stride + 1, (x.size(3) - kernel) / stride + 1},
      x.dtype(), Format::nhwc);
}

void infer_global(Call& c) {
  const Tensor& x = c.x();
  check(x.rank() == 4 && is_float(x.dtype()) && x.size(2) * x.size(3) > 0,
        "global_avg_pool: input {} {}, expected 4 float axes with pixels", x.dtype(), x.shape());
  c.require(0, Format::nhwc);
  c.output({x.size(0), x.size(1)}, x.dtype(), Format::plain);
}

const Op& define_windows(const char* name, uint32_t saves) {
  return register_op({.name = name,
                      .inputs = {1, 1},
                      .buffers = {0, 0},
                      .attributes = {{{"kernel"}, {"stride"}}},
                      .saves_inputs = saves,
                      .saves_outputs = saves,
                      .infer = infer_windows,
                      .per_image = true,
                      .coupling = Coupling::per_channel});
}

Tensor over_windows(const Op& op, const Tensor& x, int kernel, int stride) {
  return apply(op, {&x}, Attrs().set("kernel", kernel).set("stride", stride ? stride : kernel));
}

}  // namespace

const Op& max_pool2d_op() {
  static const Op& op = define_windows("max_pool2d", 1);
  return op;
}
const Op& avg_pool2d_op() {
  static const Op& op = define_windows("avg_pool2d", 0);
  return op;
}
const Op& global_avg_pool_op() {
  static const Op& op = register_op({.name = "global_avg_pool",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .infer = infer_global,
                                     .per_image = true,
                                     .coupling = Coupling::per_channel});
  return op;
}

Tensor max_pool2d(const Tensor& x, int kernel, int stride) {
  return over_windows(max_pool2d_op(), x, kernel, stride);
}
Tensor avg_pool2d(const Tensor& x, int kernel, int stride) {
  return over_windows(avg_pool2d_op(), x, kernel, stride);
}
Tensor global_avg_pool(const Tensor& x) { return apply(global_avg_pool_op(), {&x}); }

}  // namespace pare
