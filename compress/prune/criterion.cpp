#include "compress/prune/criterion.h"

#include <algorithm>
#include <cmath>

#include "compress/prune/at_init.h"
#include "compress/prune/by_name.h"
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

template <class C>
constexpr auto plain = make_plain<Criterion, C>;

constexpr ByName<Criterion> criteria[] = {{"magnitude", plain<Magnitude>},
                                          {"magnitude-l2", plain<SquaredMagnitude>},
                                          {"taylor", plain<Taylor>},
                                          {"snip", plain<Snip>},
                                          {"fisher", plain<Fisher>},
                                          {"wanda", plain<Wanda>},
                                          {"grasp", plain<Grasp>},
                                          {"synflow", plain<SynFlow>},
                                          {"random", make_seeded<Criterion, RandomScores>}};

}  // namespace

std::vector<std::string_view> criterion_names() { return names_of(criteria); }

std::unique_ptr<Criterion> make_criterion(const std::string& name, uint64_t seed) {
  return make_by_name(criteria, name, seed, "pruning method");
}

}  // namespace pare
