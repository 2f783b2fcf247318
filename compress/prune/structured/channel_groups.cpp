#include "compress/prune/structured/channel_groups.h"

#include <algorithm>
#include <array>
#include <map>

#include "compress/prune/structured/points.h"

namespace pare {
namespace {

// By value and axis; what a parameter is to the first layer that uses it.
using Roles = std::map<std::pair<int, int>, ChannelRole>;

Roles find_roles(const Graph& graph) {
  Roles roles;
  for (const GraphNode& node : graph.nodes) {
    const auto name = [&](size_t input, int axis, ChannelRole role) {
      if (input < node.inputs.size() &&
          graph.values[size_t(node.inputs[input])].kind == ValueKind::param)
        roles.try_emplace({node.inputs[input], axis}, role);
    };
    if (node.op->coupling == Coupling::producer) {
      name(1, 0, ChannelRole::filter);
      name(1, 1, ChannelRole::input);
      name(2, 0, ChannelRole::bias);
    } else if (node.op->coupling == Coupling::per_channel) {
      name(1, 0, ChannelRole::scale);
      name(2, 0, ChannelRole::shift);
    }
  }
  return roles;
}

std::string layer_name(const std::string& parameter) {
  const size_t dot = parameter.rfind('.');
  return dot == std::string::npos ? parameter : parameter.substr(0, dot);
}

// The place of each value among those that nodes read, in order.
std::vector<int> find_places(const Graph& graph) {
  std::vector<int> place(graph.values.size(), -1);
  int next = 0;
  for (const GraphNode& node : graph.nodes)
    for (const int v : node.inputs)
      if (place[size_t(v)] < 0) place[size_t(v)] = next++;
  return place;
}

// The points of one set, by axis.
struct AxisPoints {
  int slot, axis;
  std::vector<int64_t> indices;
};
using Unit = std::vector<AxisPoints>;
using Signature = std::vector<std::array<int64_t, 3>>;  // slot, axis, indices a unit
Signature signature_of(const Unit& unit) {
  Signature s;
  for (const AxisPoints& a : unit) s.push_back({a.slot, a.axis, int64_t(a.indices.size())});
  return s;
}

// Reads units and what stays whole from the points; one per analysis.
class Reader {
 public:
  Reader(const Graph& graph, Points& points)
      : graph_(graph), points_(points), roles_(find_roles(graph)), places_(find_places(graph)) {
    for (int slot = 0; slot < points.slots(); ++slot)
      for (int axis = 0; axis < points.shape(slot).size(); ++axis)
        for (int64_t i = 0; i < points.extent(slot, axis); ++i) read(slot, axis, i);
  }

  ChannelAnalysis analysis() const {
    std::map<Signature, std::vector<const Unit*>> alike;
    for (const auto& [root, unit] : units_) alike[signature_of(unit)].push_back(&unit);
    std::map<std::pair<int, Signature>, ChannelGroup> ordered;  // by first layer
    for (auto& [signature, units] : alike) {
      const int lead = lead_axis(signature);
      if (lead < 0) continue;  // no layer makes them
      const auto first = [&](const Unit* u) { return (*u)[size_t(lead)].indices[0]; };
      std::sort(units.begin(), units.end(),
                [&](const Unit* a, const Unit* b) { return first(a) < first(b); });
      const int layer = places_[size_t(signature[size_t(lead)][0])];
      ordered[{layer, signature}] = group_of(signature, units, lead);
    }
    ChannelAnalysis found;
    std::map<std::string, int> named;
    for (auto& [place, group] : ordered) {
      // Groups that start at one layer are told apart by a number. Removal changes neither their
      // order nor their count: a single unit, which has nothing to remove, keeps its number.
      const int number = ++named[group.name];
      if (number > 1) group.name += "#" + std::to_string(number);
      if (group.units >= 2) found.groups.push_back(std::move(group));
    }
    for (const auto& [place, k] : kept_) found.kept.push_back(k);
    return found;
  }

 private:
  ChannelRole role(int slot, int axis) const {
    const auto it = roles_.find({slot, axis});
    return it == roles_.end() ? ChannelRole::other : it->second;
  }

  void read(int slot, int axis, int64_t i) {
    const int64_t p = points_.point(slot, axis, i);
    if (const std::string* why = points_.why_kept(p)) {
      if (role(slot, axis) != ChannelRole::filter) return;
      KeptChannels& k = kept_[{places_[size_t(slot)], *why}];
      k.name = layer_name(graph_.values[size_t(slot)].name);
      k.why = *why;
      ++k.channels;
      return;
    }
    Unit& unit = units_[points_.find(p)];
    if (unit.empty() || unit.back().slot != slot || unit.back().axis != axis)
      unit.push_back({slot, axis, {}});
    unit.back().indices.push_back(i);
  }

  // The filters that come first: they name the group and order its units. -1 without any.
  int lead_axis(const Signature& signature) const {
    int lead = -1;
    const auto place = [&](int a) { return places_[size_t(signature[size_t(a)][0])]; };
    for (int a = 0; a < int(signature.size()); ++a)
      if (role(int(signature[size_t(a)][0]), int(signature[size_t(a)][1])) == ChannelRole::filter &&
          (lead < 0 || place(a) < place(lead)))
        lead = a;
    return lead;
  }

  ChannelGroup group_of(const Signature& signature, const std::vector<const Unit*>& units,
                        int lead) const {
    const auto values = int(graph_.values.size());
    const auto& [first, axis, per_unit] = signature[size_t(lead)];
    ChannelGroup group{.name = layer_name(graph_.values[size_t(first)].name),
                       .axes = {},
                       .units = int64_t(units.size()),
                       .channels_per_unit = per_unit};
    for (size_t a = 0; a < signature.size(); ++a) {
      const auto slot = int(signature[a][0]);
      ChannelAxis& to = group.axes.emplace_back();
      (slot < values ? to.value : to.buffer) = slot < values ? slot : slot - values;
      to.axis = int(signature[a][1]);
      to.role = role(slot, to.axis);
      to.per_unit = signature[a][2];
      for (const Unit* unit : units)
        to.indices.insert(to.indices.end(), (*unit)[a].indices.begin(), (*unit)[a].indices.end());
    }
    return group;
  }

  const Graph& graph_;
  Points& points_;
  Roles roles_;
  std::vector<int> places_;
  std::map<int64_t, Unit> units_;                             // by representative
  std::map<std::pair<int, std::string>, KeptChannels> kept_;  // by the place of the layer
};

}  // namespace

ChannelAnalysis find_channel_groups(const Graph& graph) {
  Points points(graph);
  for (int a = 0; a < Ints::capacity; ++a) {
    points.keep(graph.input, a, "it is the network's input");
    for (const int out : graph.outputs) points.keep(out, a, "it is the network's output");
  }
  for (size_t v = 0; v < graph.values.size(); ++v) {
    const GraphValue& value = graph.values[v];
    if (value.kind != ValueKind::param || value.param.state().transforms.empty()) continue;
    for (int a = 0; a < value.shape.size(); ++a)
      points.keep(int(v), a, message("'{}' carries a transform", value.name));
  }
  for (const GraphNode& node : graph.nodes) tie_node(points, node);
  return Reader(graph, points).analysis();
}

std::string describe(const Graph& graph, const ChannelAnalysis& analysis) {
  std::string text;
  for (const ChannelGroup& g : analysis.groups) {
    text += message("{}: {} channels, cut from", g.name, g.channels());
    const char* separator = " ";
    for (const ChannelAxis& a : g.axes) {
      if (a.value < 0 || graph.values[size_t(a.value)].kind != ValueKind::param) continue;
      text += message("{}{} axis {}", separator, graph.values[size_t(a.value)].name, a.axis);
      if (a.per_unit > 1) text += message(" ({} each)", a.per_unit);
      separator = ", ";
    }
    text += "\n";
  }
  for (const KeptChannels& k : analysis.kept)
    text += message("{}: {} channels stay whole: {}\n", k.name, k.channels, k.why);
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace pare
