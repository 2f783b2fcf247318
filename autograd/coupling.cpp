#include "autograd/coupling.h"

#include <algorithm>

#include "autograd/op.h"

namespace pare {
namespace {

using Kind = Operand::Kind;

bool is_batch(const Ints& shape, int axis) { return shape.symbolic >> axis & 1; }

bool broadcasts(const Ints& from, const Ints& to) {
  if (from.size() > to.size()) return false;
  for (int axis = 0; axis < from.size(); ++axis) {
    const int at = axis + to.size() - from.size();
    const bool same = from[axis] == to[at] && is_batch(from, axis) == is_batch(to, at);
    if (!same && (from[axis] != 1 || is_batch(from, axis))) return false;
  }
  return true;
}

void couple_elementwise(ChannelTies& t) {
  if (t.count(Kind::buffer) > 0) return;
  for (const Kind kind : {Kind::input, Kind::output})
    for (int i = 0; i < t.count(kind); ++i)
      if (!broadcasts(t.shape({kind, i}), t.shape(output_at()))) return;
  for (const Kind kind : {Kind::input, Kind::output})
    for (int i = 0; i < t.count(kind); ++i) tie_broadcast(t, output_at(), {kind, i});
}

void couple_per_channel(ChannelTies& t) {
  const Operand x = input_at();
  if (t.shape(x).size() < 2) return;
  const auto axis_of = [&](Operand o) { return t.shape(o).size() == 1 ? 0 : 1; };
  const int64_t channels = t.shape(x)[1];
  const auto for_operands = [&](auto&& f) {
    for (const Kind kind : {Kind::input, Kind::output, Kind::buffer})
      for (int i = 0; i < t.count(kind); ++i) f(Operand{kind, i});
  };
  bool fits = true;
  for_operands([&](Operand o) {
    fits = fits && t.shape(o).size() >= 1 && t.shape(o)[axis_of(o)] == channels &&
           !is_batch(t.shape(o), axis_of(o));
  });
  if (fits) for_operands([&](Operand o) { t.tie(x, 1, o, axis_of(o)); });
}

// Channels of grouped convolutions. Where a group has one input or one output channel, whole groups
// go; otherwise every group loses the same ones, which keeps the groups equal.
void couple_groups(ChannelTies& t, int64_t groups) {
  const Operand x = input_at(0), w = input_at(1);
  const int64_t out = t.shape(w)[0] / groups, in = t.shape(w)[1];
  const bool whole = in == 1 || out == 1;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t k = 0; k < out; ++k) t.tie(w, 0, g * out + k, w, 0, whole ? g * out : k);
    for (int64_t k = 0; k < in; ++k)
      whole ? t.tie(x, 1, g * in + k, w, 0, g * out) : t.tie(x, 1, g * in + k, w, 1, k);
  }
}

void couple_producer(ChannelTies& t) {
  const Operand x = input_at(0), w = input_at(1), bias = input_at(2), y = output_at();
  const int inputs = t.count(Kind::input);
  if (inputs < 2 || t.count(Kind::output) != 1 || t.count(Kind::buffer) > 0) return;
  const Ints xs = t.shape(x), ws = t.shape(w), ys = t.shape(y);
  const int64_t groups = t.attrs().integer("groups", 1);
  if (xs.size() < 2 || ws.size() < 2 || ys.size() < 2 || ws.symbolic || ws[0] != ys[1] ||
      ws[1] * groups != xs[1] || ws[0] % groups)
    return;
  if (inputs > 2 && !(t.shape(bias).size() == 1 && t.shape(bias)[0] == ws[0])) return;
  for (int i = 3; i < inputs; ++i)
    if (!(t.shape(input_at(i)) == ys)) return;
  t.tie(w, 0, y, 1);
  if (inputs > 2) t.tie(w, 0, bias, 0);
  for (int i = 3; i < inputs; ++i) t.tie(y, 1, input_at(i), 1);
  groups > 1 ? couple_groups(t, groups) : t.tie(x, 1, w, 1);
}

}  // namespace

void ChannelTies::tie(Operand a, int axis_a, Operand b, int axis_b) {
  check(axis_a >= 0 && axis_a < shape(a).size(), "a coupling rule ties axis {} of {}", axis_a,
        shape(a).size());
  const int64_t n = shape(a)[axis_a];
  for (int64_t i = 0; i < n; ++i) tie(a, axis_a, i, b, axis_b, i);
}

bool tie_broadcast(ChannelTies& t, Operand a, Operand b) {
  const Ints to = t.shape(a), from = t.shape(b);
  if (!broadcasts(from, to)) return false;
  for (int axis = 0; axis < from.size(); ++axis) {
    const int at = axis + to.size() - from.size();
    // An extent of 1 that is repeated is not mentioned, and so stays.
    if (from[axis] == to[at] && !is_batch(from, axis)) t.tie(a, at, b, axis);
  }
  return true;
}

void couple_channels(const Op& op, ChannelTies& ties) {
  if (op.couple) return op.couple(ties);
  switch (op.coupling) {
    case Coupling::unknown:
      return;
    case Coupling::elementwise:
      return couple_elementwise(ties);
    case Coupling::producer:
      return couple_producer(ties);
    case Coupling::per_channel:
      return couple_per_channel(ties);
  }
}

void resize_attributes(const Op& op, const ChannelCut& cut, Attrs& attrs) {
  if (op.resize) return op.resize(cut, attrs);
  if (op.coupling == Coupling::producer && attrs.has("groups"))
    attrs.set("groups", cut.extent(input_at(0), 1) / cut.extent(input_at(1), 1));
}

}  // namespace pare
