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

// Parameters in the order in which the nodes read them.
std::vector<int> places(const Graph& graph) {
  std::vector<int> place(graph.values.size(), int(graph.values.size()));
  int next = 0;
  for (const GraphNode& node : graph.nodes)
    for (const int v : node.inputs)
      if (place[size_t(v)] == int(graph.values.size())) place[size_t(v)] = next++;
  return place;
}

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

  // Units: the points of each set, by axis.
  std::map<int64_t, Unit> units;  // by representative
  const Roles roles = find_roles(graph);
  const std::vector<int> place = places(graph);
  std::map<std::pair<int, std::string>, KeptChannels> kept;  // by the place of the layer
  for (int slot = 0; slot < points.slots(); ++slot)
    for (int axis = 0; axis < points.shape(slot).size(); ++axis)
      for (int64_t i = 0; i < points.extent(slot, axis); ++i) {
        const int64_t p = points.point(slot, axis, i);
        const std::string why = points.why_kept(p);
        if (why.empty()) {
          auto& unit = units[points.find(p)];
          if (unit.empty() || unit.back().slot != slot || unit.back().axis != axis)
            unit.push_back({slot, axis, {}});
          unit.back().indices.push_back(i);
          continue;
        }
        const auto role = roles.find({slot, axis});
        if (role == roles.end() || role->second != ChannelRole::filter) continue;
        KeptChannels& k = kept[{place[size_t(slot)], why}];
        k.name = layer_name(graph.values[size_t(slot)].name);
        k.why = why;
        ++k.channels;
      }

  // Groups: units with the same axes, as often.
  std::map<Signature, std::vector<const Unit*>> alike;
  for (const auto& [root, unit] : units) alike[signature_of(unit)].push_back(&unit);
  std::vector<std::pair<int, ChannelGroup>> found;
  for (auto& [signature, members] : alike) {
    // The first layer among them names the group and orders its units.
    int first = int(graph.values.size());
    size_t lead = 0;
    for (size_t a = 0; a < signature.size(); ++a) {
      const auto role = roles.find({int(signature[a][0]), int(signature[a][1])});
      if (role == roles.end() || role->second != ChannelRole::filter) continue;
      if (place[size_t(signature[a][0])] >= first) continue;
      first = place[size_t(signature[a][0])];
      lead = a;
    }
    // What no layer makes, or is a single unit, has nothing to remove.
    if (first == int(graph.values.size()) || members.size() < 2) continue;
    std::sort(members.begin(), members.end(), [&](const Unit* a, const Unit* b) {
      return (*a)[lead].indices[0] < (*b)[lead].indices[0];
    });
    ChannelGroup group;
    group.name = layer_name(graph.values[size_t(signature[lead][0])].name);
    group.units = int64_t(members.size());
    group.channels_per_unit = signature[lead][2];
    for (size_t a = 0; a < signature.size(); ++a) {
      ChannelAxis& to = group.axes.emplace_back();
      const int slot = int(signature[a][0]);
      (slot < int(graph.values.size()) ? to.value : to.buffer) =
          slot < int(graph.values.size()) ? slot : slot - int(graph.values.size());
      to.axis = int(signature[a][1]);
      to.per_unit = signature[a][2];
      if (const auto role = roles.find({slot, to.axis}); role != roles.end())
        to.role = role->second;
      for (const Unit* unit : members)
        to.indices.insert(to.indices.end(), (*unit)[a].indices.begin(), (*unit)[a].indices.end());
    }
    found.emplace_back(first, std::move(group));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  ChannelAnalysis analysis;
  for (auto& [first, group] : found) {
    // Two groups that start at one layer (a stage that widens) are told apart by a number.
    int same = 1;
    for (const ChannelGroup& g : analysis.groups)
      same += g.name == group.name || g.name.starts_with(group.name + "#");
    if (same > 1) group.name += "#" + std::to_string(same);
    analysis.groups.push_back(std::move(group));
  }
  for (auto& [key, k] : kept) analysis.kept.push_back(std::move(k));
  return analysis;
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
