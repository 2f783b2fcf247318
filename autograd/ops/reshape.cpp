// reshape: y = x under another shape. A view: forward and backward share bytes.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

Shape resolve(const Shape& from, const Ints& wanted) {
  Shape shape;
  int64_t known = 1;
  int open = -1;
  for (int i = 0; i < wanted.size(); ++i) {
    if (wanted[i] < 0) {
      check(open < 0, "reshape: more than one extent is -1");
      open = i;
    } else {
      check(!__builtin_mul_overflow(known, wanted[i], &known),
            "reshape: an extent of {} is too large", wanted[i]);
    }
    shape.push_back(wanted[i] < 0 ? 1 : wanted[i]);
  }
  if (open >= 0) {
    check(known > 0 && from.elements() % known == 0, "reshape: {} elements do not divide by {}",
          from.elements(), known);
    shape.set(open, from.elements() / known);
  }
  return shape;
}

const Op definition{
    .name = "reshape",
    .inputs = {1, 1},
    .buffers = {0, 0},
    .attributes = {{{"shape", Attrs::Kind::ints}}},
    .infer =
        [](Call& c) {
          c.require(0, Format::plain);
          c.output(c.x().view(resolve(c.x().shape(), c.attrs->ints("shape"))));
        },
    .forward = [](Call&) {},
    .backward =
        [](BackwardCall& c) {
          if (!c.wants(0)) return;
          c.passed[0] = c.grad_outputs[0].view(c.input_shapes[0]);
        },
    .passes_gradients = true,
    .coupling = Coupling::reshaped,
};

}  // namespace

const Op& reshape_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor reshape(const Tensor& x, const Ints& shape) {
  return apply(reshape_op(), {&x}, Attrs().set("shape", shape));
}

Tensor flatten(const Tensor& x, int first_axis) {
  check(first_axis >= 0 && first_axis < x.rank(), "flatten: axis {} of shape {}", first_axis,
        x.shape());
  // Leading axes keep their extents; the batch stays free to change under replay.
  Ints shape;
  for (int i = 0; i < first_axis; ++i) shape.values[i] = x.size(i);
  shape.values[first_axis] = -1;
  shape.count = uint8_t(first_axis + 1);
  return reshape(x, shape);
}

}  // namespace pare
