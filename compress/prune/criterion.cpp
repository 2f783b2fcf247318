#include "compress/prune/criterion.h"

#include <algorithm>
#include <cmath>

namespace pare {

std::vector<PrunableWeight> prunable_weights(const Graph& graph) {
  std::vector<PrunableWeight> weights;
  for (const GraphNode& node : graph.nodes) {
    if (node.op->coupling != Coupling::producer || node.inputs.size() < 2) continue;
    const GraphValue& v = graph.values[size_t(node.inputs[1])];
    if (v.kind != ValueKind::param || !is_float(v.dtype)) continue;
    const bool known = std::any_of(weights.begin(), weights.end(),
                                   [&](const auto& w) { return w.param.same_as(v.param); });
    if (!known) weights.push_back({v.name, node.name, v.param});
  }
  return weights;
}

Tensor Magnitude::scores(const PrunableWeight& weight) const {
  const Tensor w = weight.param.value().to(Device{}).plain().to(DType::f32);
  const Tensor scores = Tensor::empty(w.shape());
  for (int64_t i = 0; i < w.elements(); ++i)
    scores.data<float>()[i] = std::fabs(w.data<float>()[i]);
  return scores;
}

std::unique_ptr<Criterion> make_criterion(const std::string& name) {
  static constexpr std::string_view known[] = {"magnitude"};
  if (name == known[0]) return std::make_unique<Magnitude>();
  fail(ErrorCode::usage, "'{}' is no pruning method{}", name,
       suggest(name, known, std::size(known)));
}

}  // namespace pare
