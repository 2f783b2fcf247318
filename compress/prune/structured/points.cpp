#include "compress/prune/structured/points.h"

#include <algorithm>
#include <numeric>

namespace pare {

Points::Points(const Graph& graph) : values_(int(graph.values.size())) {
  for (const GraphValue& v : graph.values) shapes_.push_back(v.shape);
  for (const GraphBuffer& b : graph.buffers) {
    const Shape& s = b.buffer.value().shape();
    shapes_.push_back(Ints(s.data(), s.rank()));
  }
  for (int slot = 0; slot < slots(); ++slot) {
    const bool param = slot < values_ && graph.values[size_t(slot)].kind == ValueKind::param;
    for (int a = 0; a < Ints::capacity; ++a) {
      first_.push_back(int64_t(has_param_.size()));
      constexpr int64_t most = int64_t(1) << 28;
      check(extent(slot, a) >= 0 && extent(slot, a) < most - first_.back(), ErrorCode::bad_input,
            "prune: the graph promises {} indices on one axis", extent(slot, a));
      has_param_.insert(has_param_.end(), size_t(extent(slot, a)), param);
    }
  }
  parent_.resize(has_param_.size());
  std::iota(parent_.begin(), parent_.end(), 0);
  why_.resize(has_param_.size(), -1);
}

int64_t Points::extent(int slot, int axis) const {
  const Ints& s = shape(slot);
  return axis < s.size() && !(s.symbolic >> axis & 1) ? s[axis] : 0;
}

int64_t Points::find(int64_t p) {
  while (parent_[size_t(p)] != p) p = parent_[size_t(p)] = parent_[size_t(parent_[size_t(p)])];
  return p;
}

void Points::join(int64_t a, int64_t b) {
  a = find(a);
  b = find(b);
  if (a == b) return;
  parent_[size_t(b)] = a;
  has_param_[size_t(a)] = has_param_[size_t(a)] || has_param_[size_t(b)];
  if (why_[size_t(a)] < 0) why_[size_t(a)] = why_[size_t(b)];
}

void Points::keep(int slot, int axis, const std::string& why) {
  if (extent(slot, axis) == 0) return;
  if (reasons_.empty() || reasons_.back() != why) reasons_.push_back(why);
  for (int64_t i = 0; i < extent(slot, axis); ++i) {
    int& known = why_[size_t(find(point(slot, axis, i)))];
    if (known < 0) known = int(reasons_.size()) - 1;
  }
}

const std::string* Points::why_kept(int64_t p) {
  const int r = why_[size_t(find(p))];
  return r < 0 ? nullptr : &reasons_[size_t(r)];
}

namespace {

// One node before the rule of its op.
class NodeTies : public ChannelTies {
 public:
  NodeTies(Points& points, const GraphNode& node) : points_(points), node_(node) {}

  const Attrs& attrs() const override { return node_.attrs; }
  int count(Operand::Kind kind) const override { return int(ids(kind).size()); }
  const Ints& shape(Operand o) const override { return points_.shape(slot(o)); }
  bool carries_channels(Operand o, int axis) const override {
    for (int64_t i = 0; i < points_.extent(slot(o), axis); ++i)
      if (points_.has_param(points_.point(slot(o), axis, i))) return true;
    return false;
  }
  using ChannelTies::tie;
  void tie(Operand a, int axis_a, int64_t i, Operand b, int axis_b, int64_t j) override {
    check(inside(a, axis_a) && inside(b, axis_b),
          "op '{}' ('{}') ties axis {} to {}, which its operands lack", node_.op->name, node_.name,
          axis_a, axis_b);
    mention(a, axis_a);
    mention(b, axis_b);
    const int64_t n = points_.extent(slot(a), axis_a), m = points_.extent(slot(b), axis_b);
    if (n == 0 || m == 0) return;
    check(i >= 0 && i < n && j >= 0 && j < m,
          "op '{}' ties channel {} of {} to {} of {}; its coupling rule is wrong", node_.op->name,
          i, n, j, m);
    points_.join(points_.point(slot(a), axis_a, i), points_.point(slot(b), axis_b, j));
  }
  void free(Operand o, int axis) override { mention(o, axis); }
  void keep(Operand o, int axis, std::string_view why) override {
    mention(o, axis);
    points_.keep(slot(o), axis, message("{} ({} '{}')", why, node_.op->name, node_.name));
  }

  // Keeps every axis that the rule passed over in silence.
  void finish() {
    const std::string why =
        node_.op->coupling == Coupling::unknown && !node_.op->couple
            ? message("op '{}' ('{}') does not say how its channels couple", node_.op->name,
                      node_.name)
            : message("op '{}' ('{}') couples no channels there", node_.op->name, node_.name);
    for (const auto kind : {Operand::Kind::input, Operand::Kind::output, Operand::Kind::buffer})
      for (int i = 0; i < count(kind); ++i)
        for (int a = 0; a < shape({kind, i}).size(); ++a)
          if (!mentioned_.contains({int(kind), i, a})) points_.keep(slot({kind, i}), a, why);
  }

 private:
  const std::vector<int>& ids(Operand::Kind kind) const {
    return kind == Operand::Kind::input    ? node_.inputs
           : kind == Operand::Kind::output ? node_.outputs
                                           : node_.buffers;
  }
  int slot(Operand o) const {
    check(o.index >= 0 && o.index < count(o.kind), "op '{}' ('{}') has no operand {} to tie",
          node_.op->name, node_.name, o.index);
    const int id = ids(o.kind)[size_t(o.index)];
    return o.kind == Operand::Kind::buffer ? points_.slot_of_buffer(id) : id;
  }
  bool inside(Operand o, int axis) const { return axis >= 0 && axis < shape(o).size(); }
  void mention(Operand o, int axis) { mentioned_.insert({int(o.kind), o.index, axis}); }

  Points& points_;
  const GraphNode& node_;
  std::set<std::array<int, 3>> mentioned_;
};

}  // namespace

void tie_node(Points& points, const GraphNode& node) {
  NodeTies ties(points, node);
  couple_channels(*node.op, ties);
  ties.finish();
}

}  // namespace pare
