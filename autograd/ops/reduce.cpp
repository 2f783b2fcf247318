// sum, mean, max over axes; softmax and log_softmax over the last axis; transpose.
#include <algorithm>

#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

void need_float(const Call& c) {
  check(is_float(c.x().dtype()), "{}: the input is {}, expected floating point", c.op->name,
        c.x().dtype());
}

void infer_reduction(Call& c) {
  need_float(c);
  const Shape x = c.x().shape();
  const Ints& axes = c.attrs->ints("axes");
  for (int i = 0; i < axes.size(); ++i)
    check(axes[i] >= 0 && axes[i] < x.rank() &&
              std::count(axes.values, axes.values + axes.count, axes[i]) == 1,
          "{}: axis {} of {}, expected each at most once, from 0", c.op->name, axes[i], x);
  const bool keep = c.attrs->integer("keep");
  Shape y;
  for (int i = 0; i < x.rank(); ++i) {
    const bool reduced = std::count(axes.values, axes.values + axes.count, i) > 0;
    if (!reduced)
      y.push_back(x[i]);
    else if (keep)
      y.push_back(1);
    check(!reduced || x[i] > 0, "{}: axis {} of {} is empty", c.op->name, i, x);
  }
  c.require(0, Format::plain);
  c.output(y);
}

void infer_softmax(Call& c) {
  need_float(c);
  check(c.x().rank() >= 1 && c.x().size(c.x().rank() - 1) > 0,
        "{}: the input {} has no last axis to run over", c.op->name, c.x().shape());
  c.require(0, Format::plain);
  c.output(c.x().shape());
}

void infer_transpose(Call& c) {
  need_float(c);
  const Tensor& x = c.x();
  const Ints& order = c.attrs->ints("order");
  check(order.size() == x.rank(), "transpose: {} axes named for the input {}", order.size(),
        x.shape());
  Shape y;
  for (int i = 0; i < order.size(); ++i) {
    check(order[i] >= 0 && order[i] < x.rank() &&
              std::count(order.values, order.values + order.count, order[i]) == 1,
          "transpose: axis {} named for the input {}", order[i], x.shape());
    y.push_back(x.size(int(order[i])));
  }
  c.require(0, Format::plain);
  c.output(y);
}

// Axes that stay are tied; a sum loses a term with each index, a mean or a maximum would change.
void couple_reduction(ChannelTies& t, bool sums) {
  const Ints x = t.shape(input_at());
  const Ints& axes = t.attrs().ints("axes");
  const bool keep = t.attrs().integer("keep");
  for (int a = 0, to = 0; a < x.size(); ++a) {
    if (std::count(axes.values, axes.values + axes.count, a) == 0) {
      t.tie(input_at(), a, output_at(), to++);
      continue;
    }
    sums ? t.free(input_at(), a) : t.keep(input_at(), a, "the op reduces over it");
    to += keep;
  }
}

void couple_softmax(ChannelTies& t) {
  const int last = t.shape(input_at()).size() - 1;
  for (int a = 0; a < last; ++a) t.tie(input_at(), a, output_at(), a);
  t.keep(input_at(), last, "softmax runs over it");
}

void couple_transpose(ChannelTies& t) {
  const Ints& order = t.attrs().ints("order");
  for (int a = 0; a < order.size(); ++a) t.tie(input_at(), int(order[a]), output_at(), a);
}

// Axes counted from 0, ascending, each once; none named: all.
Attrs reduction(const Tensor& x, const Ints& axes, bool keep, const char* op) {
  Ints list;
  for (int i = 0; i < x.rank(); ++i) {
    const bool named = std::any_of(axes.values, axes.values + axes.count,
                                   [&](int64_t a) { return a == i || a == i - x.rank(); });
    if (named || axes.size() == 0) list.values[list.count++] = i;
  }
  check(axes.size() == 0 || list.size() == axes.size(), "{}: axes named twice or not in {}", op,
        x.shape());
  return Attrs().set("axes", list).set("keep", keep);
}

constexpr std::array<AttrRule, Attrs::capacity> reduction_rules{
    {{"axes", Attrs::Kind::ints}, {"keep"}}};

}  // namespace

const Op& sum_op() {
  static const Op& op = register_op({.name = "sum",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .attributes = reduction_rules,
                                     .infer = infer_reduction,
                                     .per_image = true,
                                     .couple = [](ChannelTies& t) { couple_reduction(t, true); }});
  return op;
}
const Op& mean_op() {
  static const Op& op = register_op({.name = "mean",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .attributes = reduction_rules,
                                     .infer = infer_reduction,
                                     .per_image = true,
                                     .couple = [](ChannelTies& t) { couple_reduction(t, false); }});
  return op;
}
const Op& max_op() {
  static const Op& op = register_op({.name = "max",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .attributes = reduction_rules,
                                     .saves_inputs = 1,
                                     .saves_outputs = 1,
                                     .infer = infer_reduction,
                                     .per_image = true,
                                     .couple = [](ChannelTies& t) { couple_reduction(t, false); }});
  return op;
}
const Op& softmax_op() {
  static const Op& op = register_op({.name = "softmax",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .saves_outputs = 1,
                                     .infer = infer_softmax,
                                     .per_image = true,
                                     .couple = couple_softmax});
  return op;
}
const Op& log_softmax_op() {
  static const Op& op = register_op({.name = "log_softmax",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .saves_outputs = 1,
                                     .infer = infer_softmax,
                                     .per_image = true,
                                     .couple = couple_softmax});
  return op;
}
const Op& transpose_op() {
  static const Op& op = register_op({.name = "transpose",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .attributes = {{{"order", Attrs::Kind::ints}}},
                                     .infer = infer_transpose,
                                     .per_image = true,
                                     .couple = couple_transpose});
  return op;
}

Tensor sum(const Tensor& x, const Ints& axes, bool keep) {
  return apply(sum_op(), {&x}, reduction(x, axes, keep, "sum"));
}
Tensor mean(const Tensor& x, const Ints& axes, bool keep) {
  return apply(mean_op(), {&x}, reduction(x, axes, keep, "mean"));
}
Tensor max(const Tensor& x, const Ints& axes, bool keep) {
  return apply(max_op(), {&x}, reduction(x, axes, keep, "max"));
}
Tensor softmax(const Tensor& x) { return apply(softmax_op(), {&x}); }
Tensor log_softmax(const Tensor& x) { return apply(log_softmax_op(), {&x}); }
Tensor transpose(const Tensor& x, const Ints& order) {
  return apply(transpose_op(), {&x}, Attrs().set("order", order));
}

}  // namespace pare
