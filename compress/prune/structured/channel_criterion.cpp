#include "compress/prune/structured/channel_criterion.h"

#include <algorithm>
#include <cmath>

#include "compress/batch_norm.h"
#include "compress/prune/by_name.h"
#include "compress/prune/data_criteria.h"
#include "core/random.h"

namespace pare {
namespace {

bool is_param(const Graph& graph, const ChannelAxis& a) {
  return a.value >= 0 && graph.values[size_t(a.value)].kind == ValueKind::param;
}

// Calls f(unit, element) for every element of the axis's tensor that belongs to a unit.
template <class F>
void for_elements(const Shape& shape, const ChannelAxis& a, F&& f) {
  const int64_t extent = shape[a.axis];
  int64_t outer = 1, inner = 1;
  for (int axis = 0; axis < a.axis; ++axis) outer *= shape[axis];
  for (int axis = a.axis + 1; axis < shape.rank(); ++axis) inner *= shape[axis];
  for (size_t k = 0; k < a.indices.size(); ++k)
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i)
        f(k / size_t(a.per_unit), size_t((o * extent + a.indices[k]) * inner + i));
}

// Per unit, the sum of f(w) over the parameter of one axis.
template <class F>
std::vector<double> unit_sums(const Graph& graph, const ChannelGroup& group, const ChannelAxis& a,
                              F&& f) {
  const Tensor t = graph.values[size_t(a.value)].param.masked_value();
  const auto w = t.to_vector<double>();
  std::vector<double> sums(size_t(group.units));
  for_elements(t.shape(), a, [&](size_t unit, size_t e) { sums[unit] += f(w[e]); });
  return sums;
}

// The mean over axes that `wanted` takes of what `sums` gives; empty where there is none.
template <class Wanted, class Sums>
std::vector<double> mean_over_axes(const Graph& graph, const ChannelGroup& group, Wanted&& wanted,
                                   Sums&& sums) {
  std::vector<double> mean(size_t(group.units));
  int count = 0;
  for (const ChannelAxis& a : group.axes) {
    if (!is_param(graph, a) || !wanted(a.role)) continue;
    ++count;
    const std::vector<double> s = sums(a);
    for (size_t u = 0; u < mean.size(); ++u) mean[u] += s[u];
  }
  if (count == 0) return {};
  for (double& m : mean) m /= count;
  return mean;
}

}  // namespace

std::vector<double> FilterNorm::scores(const Graph& graph, const ChannelGroup& group) const {
  return mean_over_axes(
      graph, group, [](ChannelRole r) { return r == ChannelRole::filter; },
      [&](const ChannelAxis& a) {
        if (order_ == 1) return unit_sums(graph, group, a, [](double w) { return std::fabs(w); });
        std::vector<double> s = unit_sums(graph, group, a, [](double w) { return w * w; });
        for (double& v : s) v = std::sqrt(v);
        return s;
      });
}

std::vector<double> NormScale::scores(const Graph& graph, const ChannelGroup& group) const {
  return mean_over_axes(
      graph, group, [](ChannelRole r) { return r == ChannelRole::scale; },
      [&](const ChannelAxis& a) {
        return unit_sums(graph, group, a, [](double w) { return std::fabs(w); });
      });
}

std::vector<double> GroupNorm::scores(const Graph& graph, const ChannelGroup& group) const {
  return mean_over_axes(
      graph, group, [](ChannelRole) { return true; },
      [&](const ChannelAxis& a) {
        return unit_sums(graph, group, a, [](double w) { return w * w; });
      });
}

std::vector<double> GeometricMedian::scores(const Graph& graph, const ChannelGroup& group) const {
  std::vector<std::vector<double>> filters(size_t(group.units));
  for (const ChannelAxis& a : group.axes) {
    if (!is_param(graph, a) || a.role != ChannelRole::filter) continue;
    const Tensor t = graph.values[size_t(a.value)].param.masked_value();
    const auto w = t.to_vector<double>();
    for_elements(t.shape(), a, [&](size_t unit, size_t e) { filters[unit].push_back(w[e]); });
  }
  std::vector<double> sums(filters.size());
  for (size_t i = 0; i < filters.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      double square = 0;
      for (size_t k = 0; k < filters[i].size(); ++k)
        square += (filters[i][k] - filters[j][k]) * (filters[i][k] - filters[j][k]);
      sums[i] += std::sqrt(square);
      sums[j] += std::sqrt(square);
    }
  return sums;
}

std::vector<double> RandomChannels::scores(const Graph&, const ChannelGroup& group) const {
  Rng rng(mix_keys(seed_, hash_name(group.name)));
  std::vector<double> s(size_t(group.units));
  for (double& v : s) v = rng.uniform();
  return s;
}

void GateTaylor::prepare(Graph& graph, const ChannelAnalysis& analysis,
                         const std::vector<Batch>& batches) {
  check(!batches.empty(), "taylor: no data to take gradients from");
  // The parameters of each gate, by node: a norm's, or those of a layer that no norm follows.
  std::vector<std::vector<int>> gates;
  for (const GraphNode& node : graph.nodes) {
    const bool layer = node.op->coupling == Coupling::producer;
    if (!layer && !is_norm(node)) continue;
    const std::vector<int> readers = graph.consumers(node.outputs[0]);
    const bool normed = std::any_of(readers.begin(), readers.end(), [&](int k) {
      const GraphNode& n = graph.nodes[size_t(k)];
      return is_norm(n) && n.inputs[0] == node.outputs[0];
    });
    if (layer && normed) continue;
    auto& gate = gates.emplace_back();
    for (size_t i = 1; i < std::min<size_t>(3, node.inputs.size()); ++i)
      if (graph.values[size_t(node.inputs[i])].kind == ValueKind::param)
        gate.push_back(node.inputs[i]);
  }
  scores_.clear();
  if (analysis.groups.empty()) return;  // whose parameters there may be none of
  for_each_gradient(graph, batches, [&](int64_t) {
    // w dL/dw once per parameter and batch.
    std::map<int, std::vector<double>> products;
    for (const auto& gate : gates)
      for (const int v : gate) {
        const Param& p = graph.values[size_t(v)].param;
        if (products.contains(v) || !p.has_grad()) continue;
        auto product = p.masked_value().to_vector<double>();
        const auto g = p.grad().to_vector<double>();
        for (size_t i = 0; i < g.size(); ++i) product[i] *= g[i];
        products[v] = std::move(product);
      }
    for (const ChannelGroup& group : analysis.groups) {
      auto& total = scores_[group.name];
      total.resize(size_t(group.units));
      for (const auto& gate : gates) {
        std::vector<double> derivative(total.size());
        for (const ChannelAxis& a : group.axes)
          if (a.axis == 0 && products.contains(a.value) &&
              std::count(gate.begin(), gate.end(), a.value)) {
            const auto& product = products[a.value];
            for_elements(graph.values[size_t(a.value)].param.value().shape(), a,
                         [&](size_t unit, size_t e) { derivative[unit] += product[e]; });
          }
        for (size_t u = 0; u < total.size(); ++u)
          total[u] += std::fabs(derivative[u]) / double(batches.size());
      }
    }
  });
}

std::vector<double> GateTaylor::scores(const Graph&, const ChannelGroup& group) const {
  const auto it = scores_.find(group.name);
  check(it != scores_.end(), "taylor: has not seen '{}'; call prepare with data first", group.name);
  return it->second;
}

namespace {

template <class C, auto... args>
constexpr auto plain = make_plain<ChannelCriterion, C, args...>;

constexpr ByName<ChannelCriterion> criteria[] = {
    {"magnitude", plain<FilterNorm, 1>},
    {"magnitude-l2", plain<FilterNorm, 2>},
    {"taylor", plain<GateTaylor>},
    {"bn-scale", plain<NormScale>},
    {"fpgm", plain<GeometricMedian>},
    {"group", plain<GroupNorm>},
    {"random", make_seeded<ChannelCriterion, RandomChannels>}};

}  // namespace

std::vector<std::string_view> channel_criterion_names() { return names_of(criteria); }

std::unique_ptr<ChannelCriterion> make_channel_criterion(const std::string& name, uint64_t seed) {
  return make_by_name(criteria, name, seed, "method of channel pruning");
}

}  // namespace pare
