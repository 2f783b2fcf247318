#include "compress/prune/structured/remove_channels.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace pare {
namespace {

// Flags of the indices along one axis; slots are values, then buffers.
using Flags = std::vector<uint8_t>;
using Cuts = std::map<std::pair<int, int>, Flags>;

Cuts find_cuts(const Graph& graph, const ChannelAnalysis& analysis, const KeptUnits& kept) {
  check(kept.size() == analysis.groups.size(), "remove_channels: {} lists for {} groups",
        kept.size(), analysis.groups.size());
  Cuts cuts;
  for (size_t g = 0; g < kept.size(); ++g) {
    const ChannelGroup& group = analysis.groups[g];
    check(int64_t(kept[g].size()) == group.units, "remove_channels: {} flags for {} units of '{}'",
          kept[g].size(), group.units, group.name);
    const auto stay = std::count_if(kept[g].begin(), kept[g].end(), [](uint8_t k) { return k; });
    check(stay > 0, "remove_channels: nothing of '{}' would stay", group.name);
    if (stay == group.units) continue;
    for (const ChannelAxis& a : group.axes) {
      const int slot = a.value >= 0 ? a.value : int(graph.values.size()) + a.buffer;
      const int64_t extent = a.value >= 0
                                 ? graph.values[size_t(a.value)].shape[a.axis]
                                 : graph.buffers[size_t(a.buffer)].buffer.value().size(a.axis);
      Flags& flags = cuts.try_emplace({slot, a.axis}, size_t(extent), uint8_t(1)).first->second;
      for (size_t k = 0; k < a.indices.size(); ++k)
        flags[size_t(a.indices[k])] = kept[g][k / size_t(a.per_unit)];
    }
  }
  return cuts;
}

int64_t count(const Flags& flags) {
  return std::count_if(flags.begin(), flags.end(), [](uint8_t k) { return k != 0; });
}

Tensor take(const Tensor& tensor, int axis, const Flags& flags) {
  const Tensor x = tensor.to(Device{}).plain();
  check(x.size(axis) == int64_t(flags.size()), ErrorCode::bad_input,
        "prune: a tensor of {} where the graph promises {} on axis {}", x.shape(), flags.size(),
        axis);
  Shape shape = x.shape();
  shape.set(axis, count(flags));
  const Tensor y = Tensor::empty(shape, x.dtype());
  int64_t outer = 1;
  for (int a = 0; a < axis; ++a) outer *= x.size(a);
  const size_t run = x.bytes() / size_t(std::max<int64_t>(1, outer * x.size(axis)));
  const char* from = x.data<char>();
  char* to = y.data<char>();
  for (int64_t o = 0; o < outer; ++o)
    for (const uint8_t keep : flags) {
      if (keep) {
        std::memcpy(to, from, run);
        to += run;
      }
      from += run;
    }
  return y.to(tensor.device());
}

// The tensor of a slot with all its axes cut.
Tensor cut_tensor(const Tensor& tensor, int slot, const Cuts& cuts) {
  Tensor t = tensor;
  for (int a = 0; t.defined() && a < tensor.rank(); ++a)
    if (const auto it = cuts.find({slot, a}); it != cuts.end()) t = take(t, a, it->second);
  return t;
}

Param cut_param(const Param& param, int slot, const Cuts& cuts) {
  param.uphold_mask();
  const ParamState& from = param.inner();
  Param cut(cut_tensor(from.value, slot, cuts), from.decay);
  ParamState& to = cut.state();
  to.mask = cut_tensor(from.mask, slot, cuts);
  to.mask_kind = from.mask_kind;
  to.steps = from.steps;
  to.transforms = from.transforms;
  for (const auto& [name, tensor] : from.slots)
    to.slots.emplace_back(
        name, tensor.shape() == from.value.shape() ? cut_tensor(tensor, slot, cuts) : tensor);
  return cut;
}

// `to` becomes what `cut`, made by cut_param, is: its gradient and pattern are forgotten.
void take_state(const Param& to, const Param& cut) {
  ParamState& s = to.state();
  const ParamState& from = cut.inner();
  s.value = from.value;
  s.mask = from.mask;
  s.slots = from.slots;
  s.grad = s.pattern = s.pattern_mask = s.in_run = Tensor();
  s.has_grad = false;
  s.kept_grad = nullptr;
  s.run = 0;
}

class NodeCut : public ChannelCut {
 public:
  NodeCut(const Graph& graph, const GraphNode& node, const Cuts& cuts)
      : graph_(graph), node_(node), cuts_(cuts) {}

  int64_t extent(Operand o, int axis) const override {
    if (const Flags* flags = find(o, axis)) return count(*flags);
    return o.kind == Operand::Kind::buffer ? graph_.buffers[size_t(id(o))].buffer.value().size(axis)
                                           : graph_.values[size_t(id(o))].shape[axis];
  }
  int64_t kept_below(Operand o, int axis, int64_t index) const override {
    const Flags* flags = find(o, axis);
    if (!flags) return index;
    return count({flags->begin(), flags->begin() + std::min(index, int64_t(flags->size()))});
  }

 private:
  int id(Operand o) const {
    return (o.kind == Operand::Kind::input    ? node_.inputs
            : o.kind == Operand::Kind::output ? node_.outputs
                                              : node_.buffers)[size_t(o.index)];
  }
  const Flags* find(Operand o, int axis) const {
    const int slot = o.kind == Operand::Kind::buffer ? int(graph_.values.size()) + id(o) : id(o);
    const auto it = cuts_.find({slot, axis});
    return it == cuts_.end() ? nullptr : &it->second;
  }
  const Graph& graph_;
  const GraphNode& node_;
  const Cuts& cuts_;
};

}  // namespace

KeptUnits keep_all(const ChannelAnalysis& analysis) {
  KeptUnits kept;
  for (const ChannelGroup& g : analysis.groups) kept.emplace_back(size_t(g.units), uint8_t(1));
  return kept;
}

Graph without_channels(const Graph& graph, const ChannelAnalysis& analysis, const KeptUnits& kept) {
  const Cuts cuts = find_cuts(graph, analysis, kept);
  Graph g = graph.share();
  for (GraphNode& node : g.nodes)
    resize_attributes(*node.op, NodeCut(graph, node, cuts), node.attrs);
  std::map<int, bool> touched;
  for (const auto& [key, flags] : cuts) {
    const auto [slot, axis] = key;
    touched[slot] = true;
    if (slot < int(g.values.size())) g.values[size_t(slot)].shape.values[axis] = count(flags);
  }
  for (const auto& [slot, yes] : touched) {
    if (slot >= int(g.values.size())) {
      Buffer& b = g.buffers[size_t(slot) - g.values.size()].buffer;
      b = Buffer(cut_tensor(b.value(), slot, cuts));
      continue;
    }
    GraphValue& v = g.values[size_t(slot)];
    if (v.kind == ValueKind::param) v.param = cut_param(v.param, slot, cuts);
    if (v.kind == ValueKind::constant) v.constant = cut_tensor(v.constant, slot, cuts);
  }
  return g;
}

void remove_channels(Graph& graph, const ChannelAnalysis& analysis, const KeptUnits& kept) {
  Graph smaller = without_channels(graph, analysis, kept);
  const GraphValue& in = graph.values[size_t(graph.input)];
  smaller.forward(Tensor::zeros(graph.input_shape(1), in.dtype, device_of(graph)), Mode::eval);
  // Parameters and buffers keep their handles, whoever else holds them.
  for (size_t v = 0; v < graph.values.size(); ++v)
    if (graph.values[v].kind == ValueKind::param &&
        !smaller.values[v].param.same_as(graph.values[v].param)) {
      Param param = graph.values[v].param;
      take_state(param, smaller.values[v].param);
      smaller.values[v].param = param;
    }
  for (size_t b = 0; b < graph.buffers.size(); ++b)
    if (!smaller.buffers[b].buffer.same_as(graph.buffers[b].buffer)) {
      Buffer buffer = graph.buffers[b].buffer;
      buffer.set_value(smaller.buffers[b].buffer.value());
      smaller.buffers[b].buffer = buffer;
    }
  graph = std::move(smaller);
  graph.changed();
}

}  // namespace pare
