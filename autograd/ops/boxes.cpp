// Ops that move boxes of elements:
//   slice   y[i] = x[begin + i step]          pad     y[before + i] = x[i], else value
//   concat  parts one after another           split   the reverse, with several outputs
// nhwc storage is kept.
#include <algorithm>

#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

void check_float(const Call& c) {
  check(is_float(c.x().dtype()), "{}: the input is {}, expected floating point", c.op->name,
        c.x().dtype());
}

// The axis attribute, which the public functions have counted from 0.
int axis_of(const Call& c) {
  const int64_t axis = c.attrs->integer("axis");
  check(axis >= 0 && axis < c.x().rank(), "{}: axis {} of {}", c.op->name, axis, c.x().shape());
  return int(axis);
}

int checked_axis(const Tensor& x, int axis, const char* op) {
  const int a = axis < 0 ? axis + x.rank() : axis;
  check(a >= 0 && a < x.rank(), "{}: axis {} of {}", op, axis, x.shape());
  return a;
}

void infer_slice(Call& c) {
  check_float(c);
  const Tensor& x = c.x();
  const Ints &begin = c.attrs->ints("begin"), &end = c.attrs->ints("end"),
             &step = c.attrs->ints("step");
  check(begin.size() == x.rank() && end.size() == x.rank() && step.size() == x.rank(),
        "slice: {} begins, {} ends and {} steps for the input {}", begin.size(), end.size(),
        step.size(), x.shape());
  Shape shape;
  for (int a = 0; a < x.rank(); ++a) {
    const int64_t last = std::min(end[a], x.size(a));
    check(begin[a] >= 0 && begin[a] <= last && step[a] >= 1,
          "slice: {}..{} step {} on axis {} of {}", begin[a], end[a], step[a], a, x.shape());
    shape.push_back(last == begin[a] ? 0 : (last - begin[a] - 1) / step[a] + 1);
  }
  c.output(shape, x.dtype(), x.format());
}

void infer_pad(Call& c) {
  check_float(c);
  const Tensor& x = c.x();
  const Ints &before = c.attrs->ints("before"), &after = c.attrs->ints("after");
  check(before.size() == x.rank() && after.size() == x.rank(),
        "pad: {} and {} widths for the input {}", before.size(), after.size(), x.shape());
  Shape shape;
  for (int a = 0; a < x.rank(); ++a) {
    constexpr int64_t most = int64_t(1) << 31;
    check(before[a] >= 0 && after[a] >= 0 && before[a] < most && after[a] < most,
          "pad: widths {} and {} on axis {}", before[a], after[a], a);
    shape.push_back(before[a] + x.size(a) + after[a]);
  }
  c.output(shape, x.dtype(), x.format());
}

void infer_concat(Call& c) {
  check_float(c);
  const int axis = axis_of(c);
  const Ints& sizes = c.attrs->ints("sizes");
  check(size_t(sizes.size()) == c.inputs.size(), "concat: {} sizes for {} parts", sizes.size(),
        c.inputs.size());
  Shape shape = c.x().shape();
  int64_t total = 0;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const Tensor& x = c.inputs[i];
    Shape rest = x.shape();
    check(x.rank() == shape.rank() && x.dtype() == c.x().dtype(),
          "concat: part {} is {} {}, the first {} {}", i, x.dtype(), x.shape(), c.x().dtype(),
          c.x().shape());
    check(sizes[int(i)] == x.size(axis), "concat: part {} is {}, its size is said to be {}", i,
          x.shape(), sizes[int(i)]);
    total += x.size(axis);
    rest.set(axis, shape[axis]);
    check(rest == shape, "concat: part {} is {}, the first {}; only axis {} may differ", i,
          x.shape(), shape, axis);
    c.require(int(i), c.x().format());
  }
  shape.set(axis, total);
  c.output(shape, c.x().dtype(), c.x().format());
}

void infer_split(Call& c) {
  check_float(c);
  const Tensor& x = c.x();
  const int axis = axis_of(c);
  const Ints& sizes = c.attrs->ints("sizes");
  check(sizes.size() >= 1 && sizes.size() <= max_outputs, "split: {} parts, expected 1 to {}",
        sizes.size(), max_outputs);
  int64_t total = 0;
  for (int i = 0; i < sizes.size(); ++i) {
    check(sizes[i] >= 0 && sizes[i] <= x.size(axis), "split: a part of {} from axis {} of {}",
          sizes[i], axis, x.shape());
    Shape shape = x.shape();
    shape.set(axis, sizes[i]);
    total += sizes[i];
    c.output(shape, x.dtype(), x.format());
  }
  check(total == x.size(axis), "split: the parts sum to {}, axis {} of {} has {}", total, axis,
        x.shape(), x.size(axis));
}

// Channels. Axes other than those cut pass through.
void couple_slice(ChannelTies& t) {
  const Ints x = t.shape(input_at()), y = t.shape(output_at());
  const Ints &begin = t.attrs().ints("begin"), &step = t.attrs().ints("step");
  for (int a = 0; a < x.size(); ++a) {
    if (step[a] != 1 && y[a] < x[a]) {
      t.keep(input_at(), a, "slice takes every few of them");
      continue;
    }
    t.free(input_at(), a);
    t.free(output_at(), a);
    for (int64_t i = 0; i < y[a]; ++i) t.tie(input_at(), a, begin[a] + i, output_at(), a, i);
  }
}
void resize_slice(const ChannelCut& cut, Attrs& attrs) {
  Ints begin = attrs.ints("begin"), end = attrs.ints("end");
  const Ints& step = attrs.ints("step");
  for (int a = 0; a < begin.size(); ++a) {
    if ((begin.symbolic | end.symbolic | step.symbolic) >> a & 1) continue;
    begin.values[a] = cut.kept_below(input_at(), a, begin[a]);
    if (end[a] < slice_to_end) end.values[a] = cut.kept_below(input_at(), a, end[a]);
  }
  attrs.set("begin", begin).set("end", end);
}

// What is added has no other source, so it goes when what it is tied to goes.
void couple_pad(ChannelTies& t) {
  const Ints x = t.shape(input_at());
  const Ints& before = t.attrs().ints("before");
  for (int a = 0; a < x.size(); ++a) {
    t.free(output_at(), a);
    for (int64_t i = 0; i < x[a]; ++i) t.tie(input_at(), a, i, output_at(), a, before[a] + i);
  }
}
void resize_pad(const ChannelCut& cut, Attrs& attrs) {
  Ints before = attrs.ints("before"), after = attrs.ints("after");
  for (int a = 0; a < before.size(); ++a) {
    if ((before.symbolic | after.symbolic) >> a & 1) continue;
    before.values[a] = cut.kept_below(output_at(), a, before[a]);
    if (after[a])
      after.values[a] = cut.extent(output_at(), a) - before[a] - cut.extent(input_at(), a);
  }
  attrs.set("before", before).set("after", after);
}

// concat, with `part` an input and `whole` the output; split, the other way round.
void couple_parts(ChannelTies& t, Operand::Kind part, Operand whole) {
  const auto axis = int(t.attrs().integer("axis"));
  if (axis < 0 || axis >= t.shape(whole).size()) return;
  int64_t offset = 0;
  for (int i = 0; i < t.count(part); ++i) {
    const Operand p{part, i};
    const Ints shape = t.shape(p);
    for (int a = 0; a < shape.size(); ++a) {
      for (int64_t k = 0; k < shape[a]; ++k) t.tie(p, a, k, whole, a, a == axis ? offset + k : k);
    }
    offset += shape[axis];
  }
}
void resize_parts(const ChannelCut& cut, Attrs& attrs, Operand::Kind part) {
  Ints sizes = attrs.ints("sizes");
  for (int i = 0; i < sizes.size(); ++i)
    if (!(sizes.symbolic >> i & 1))
      sizes.values[i] = cut.extent({part, i}, int(attrs.integer("axis")));
  attrs.set("sizes", sizes);
}

}  // namespace

const Op& slice_op() {
  static const Op& op = register_op({.name = "slice",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .attributes = {{{"begin", Attrs::Kind::ints},
                                                     {"end", Attrs::Kind::ints},
                                                     {"step", Attrs::Kind::ints}}},
                                     .infer = infer_slice,
                                     .per_image = true,
                                     .couple = couple_slice,
                                     .resize = resize_slice});
  return op;
}
const Op& pad_op() {
  static const Op& op = register_op({.name = "pad",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .attributes = {{{"before", Attrs::Kind::ints},
                                                     {"after", Attrs::Kind::ints},
                                                     {"value", Attrs::Kind::real}}},
                                     .infer = infer_pad,
                                     .per_image = true,
                                     .couple = couple_pad,
                                     .resize = resize_pad});
  return op;
}
const Op& concat_op() {
  static const Op& op = register_op(
      {.name = "concat",
       .inputs = {1, Ints::capacity},
       .buffers = {0, 0},
       .attributes = {{{"axis"}, {"sizes", Attrs::Kind::ints}}},
       .infer = infer_concat,
       .per_image = true,
       .couple = [](ChannelTies& t) { couple_parts(t, Operand::Kind::input, output_at()); },
       .resize = [](const ChannelCut& cut,
                    Attrs& attrs) { resize_parts(cut, attrs, Operand::Kind::input); }});
  return op;
}
const Op& split_op() {
  static const Op& op = register_op(
      {.name = "split",
       .inputs = {1, 1},
       .buffers = {0, 0},
       .attributes = {{{"axis"}, {"sizes", Attrs::Kind::ints}}},
       .infer = infer_split,
       .per_image = true,
       .couple = [](ChannelTies& t) { couple_parts(t, Operand::Kind::output, input_at()); },
       .resize = [](const ChannelCut& cut,
                    Attrs& attrs) { resize_parts(cut, attrs, Operand::Kind::output); }});
  return op;
}

Tensor slice(const Tensor& x, const Ints& begin, const Ints& end, const Ints& step) {
  return apply(slice_op(), {&x}, Attrs().set("begin", begin).set("end", end).set("step", step));
}

Tensor pad(const Tensor& x, const Ints& before, const Ints& after, double value) {
  return apply(pad_op(), {&x},
               Attrs().set("before", before).set("after", after).set("value", value));
}

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  check(!parts.empty() && parts.size() <= size_t(Ints::capacity),
        "concat: {} parts, expected 1 to {}", parts.size(), Ints::capacity);
  const int a = checked_axis(parts[0], axis, "concat");
  Ints sizes;
  for (const Tensor& t : parts) {
    check(a < t.rank(), "concat: axis {} of a part {}", axis, t.shape());
    sizes.values[sizes.count++] = t.size(a);
  }
  std::array<Tensor, Ints::capacity> inputs;
  std::copy(parts.begin(), parts.end(), inputs.begin());
  std::array<Tensor, max_outputs> out;
  apply(concat_op(), {inputs.data(), parts.size()}, Attrs().set("axis", a).set("sizes", sizes),
        out);
  return std::move(out[0]);
}

std::vector<Tensor> split(const Tensor& x, int axis, const Ints& sizes) {
  Tensor input[] = {x};
  std::array<Tensor, max_outputs> out;
  apply(split_op(), input, Attrs().set("axis", checked_axis(x, axis, "split")).set("sizes", sizes),
        out);
  return {out.begin(), out.begin() + sizes.size()};
}

}  // namespace pare
