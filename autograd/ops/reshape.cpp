// reshape: y = x under another shape. A view: forward and backward share bytes.
#include <algorithm>

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

// Channels. The axes of x and y are matched in runs of equal product. A run that merges axes into
// one (flatten) ties each channel to its features, of the one axis that carries channels; a run
// that parts one axis ties runs of it to the first of the parts.
struct Run {
  int x, x_end, y, y_end;  // half-open ranges of axes
};

void couple_run(ChannelTies& t, const Run& r) {
  const Ints xs = t.shape(input_at()), ys = t.shape(output_at());
  const auto several = [](const Ints& shape, int begin, int end) {
    return std::count_if(shape.values + begin, shape.values + end, [](int64_t n) { return n > 1; });
  };
  // The first axis with more than one element.
  const auto lead = [](const Ints& shape, int begin, int end) {
    while (begin + 1 < end && shape[begin] == 1) ++begin;
    return begin;
  };
  const auto tie = [&](Operand many, const Ints& shape, int axis, int end, Operand one, int whole) {
    int64_t inner = 1;
    for (int a = axis + 1; a < end; ++a) inner *= shape[a];
    for (int64_t i = 0; i < t.shape(one)[whole]; ++i)
      t.tie(many, axis, i / inner % shape[axis], one, whole, i);
  };
  if (r.x == r.x_end || r.y == r.y_end) return;
  if (several(ys, r.y, r.y_end) <= 1) {
    int carrier = -1, carriers = 0;
    for (int a = r.x; a < r.x_end; ++a)
      if (xs[a] > 1 && t.carries_channels(input_at(), a)) {
        carrier = a;
        ++carriers;
      }
    if (several(xs, r.x, r.x_end) == 1) carriers = 1, carrier = lead(xs, r.x, r.x_end);
    if (carriers == 1) tie(input_at(), xs, carrier, r.x_end, output_at(), lead(ys, r.y, r.y_end));
  } else if (several(xs, r.x, r.x_end) == 1) {
    tie(output_at(), ys, lead(ys, r.y, r.y_end), r.y_end, input_at(), lead(xs, r.x, r.x_end));
  }
}

void couple_reshape(ChannelTies& t) {
  const Ints xs = t.shape(input_at()), ys = t.shape(output_at());
  // The batch stays by itself in front, or the axes are mixed with it.
  if ((xs.symbolic | ys.symbolic) > 1 || xs.symbolic != ys.symbolic) return;
  if (xs.symbolic && xs[0] != ys[0]) return;
  Run r{xs.symbolic ? 1 : 0, 0, xs.symbolic ? 1 : 0, 0};
  while (r.x < xs.size() && r.y < ys.size()) {
    r.x_end = r.x + 1;
    r.y_end = r.y + 1;
    int64_t a = xs[r.x], b = ys[r.y];
    while (a != b) {
      if (a < b && r.x_end < xs.size())
        a *= xs[r.x_end++];
      else if (b < a && r.y_end < ys.size())
        b *= ys[r.y_end++];
      else
        return;
    }
    couple_run(t, r);
    r.x = r.x_end;
    r.y = r.y_end;
  }
}

void resize_reshape(const ChannelCut& cut, Attrs& attrs) {
  Ints shape = attrs.ints("shape");
  for (int a = 0; a < shape.size(); ++a)
    if (shape[a] >= 0 && !(shape.symbolic >> a & 1)) shape.values[a] = cut.extent(output_at(), a);
  attrs.set("shape", shape);
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
    .any_device = true,
    .passes_gradients = true,
    .per_image = true,
    .couple = couple_reshape,
    .resize = resize_reshape,
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
