#include "compress/prune/criterion.h"

#include <algorithm>
#include <cmath>

#include "compress/prune/at_init.h"
#include "compress/prune/data_criteria.h"
#include "core/random.h"

namespace pare {

std::vector<PrunableWeight> prunable_weights(const Graph& graph) {
  std::vector<PrunableWeight> weights;
  for (const GraphNode& node : graph.nodes) {
    if (node.op->coupling != Coupling::producer || node.inputs.size() < 2) continue;
    const GraphValue& v = graph.values[size_t(node.inputs[1])];
    if (v.kind != ValueKind::param || !is_float(v.dtype)) continue;
    if (v.param.value().rank() < 2 || v.param.value().elements() == 0) continue;
    const bool known = std::any_of(weights.begin(), weights.end(),
                                   [&](const auto& w) { return w.param.same_as(v.param); });
    if (!known) weights.push_back({v.name, node.name, v.param});
  }
  return weights;
}

std::vector<std::string> weights_left_dense(const Graph& graph) {
  const auto known = prunable_weights(graph);
  std::vector<std::string> names;
  for (const GraphValue& v : graph.values) {
    if (v.kind != ValueKind::param || v.param.value().rank() < 2 || v.param.value().elements() == 0)
      continue;
    if (std::none_of(known.begin(), known.end(),
                     [&](const PrunableWeight& w) { return w.param.same_as(v.param); }))
      names.push_back(v.name);
  }
  return names;
}

void check_prunable(const Graph& graph, const char* what) {
  if (!prunable_weights(graph).empty()) return;
  std::string reasons;
  const auto add = [&](const std::string& name, const char* why) {
    reasons += message("{} '{}' {}", reasons.empty() ? ":" : ",", name, why);
  };
  for (const std::string& name : weights_left_dense(graph))
    add(name, "is used by an op that pruning does not know");
  for (const GraphValue& v : graph.values)
    if (v.kind == ValueKind::constant && v.shape.size() >= 2 && !is_float(v.dtype))
      add(v.name, "holds integers (prune before quantizing)");
  fail(ErrorCode::bad_input, "{}: the network has no weights to prune{}", what, reasons);
}

Tensor Magnitude::scores(const PrunableWeight& weight) const {
  return score_elements(weight, [](double w, int64_t) { return std::fabs(w); });
}

Tensor SquaredMagnitude::scores(const PrunableWeight& weight) const {
  return score_elements(weight, [](double w, int64_t) { return w * w; });
}

Tensor RandomScores::scores(const PrunableWeight& weight) const {
  Rng rng(mix_keys(seed_, hash_name(weight.name)));
  return score_elements(weight, [&](double, int64_t) { return rng.uniform(); });
}

namespace {

struct Known {
  std::string_view name;
  std::unique_ptr<Criterion> (*make)(uint64_t seed);
};
template <class C>
std::unique_ptr<Criterion> make(uint64_t) {
  return std::make_unique<C>();
}
constexpr Known criteria[] = {{"magnitude", make<Magnitude>},
                              {"magnitude-l2", make<SquaredMagnitude>},
                              {"taylor", make<Taylor>},
                              {"snip", make<Snip>},
                              {"fisher", make<Fisher>},
                              {"wanda", make<Wanda>},
                              {"grasp", make<Grasp>},
                              {"synflow", make<SynFlow>},
                              {"random", [](uint64_t seed) -> std::unique_ptr<Criterion> {
                                 return std::make_unique<RandomScores>(seed);
                               }}};

}  // namespace

std::vector<std::string_view> criterion_names() {
  std::vector<std::string_view> names;
  for (const Known& c : criteria) names.push_back(c.name);
  return names;
}

std::unique_ptr<Criterion> make_criterion(const std::string& name, uint64_t seed) {
  for (const Known& c : criteria)
    if (c.name == name) return c.make(seed);
  const auto names = criterion_names();
  fail(ErrorCode::usage, "'{}' is no pruning method{}", name,
       suggest(name, names.data(), names.size()));
}

}  // namespace pare
