#include "compress/prune/structured/norm_penalty.h"

#include <algorithm>

#include "autograd/ops.h"
#include "compress/batch_norm.h"

namespace pare {

LossFn with_norm_penalty(LossFn loss, const Graph& graph, double lambda) {
  check(lambda >= 0, "the penalty on batch norm scales is {}, expected at least 0", lambda);
  std::vector<Param> scales;
  for (const GraphNode& node : graph.nodes) {
    if (!is_norm(node)) continue;
    const GraphValue& gamma = graph.values[size_t(node.inputs[1])];
    if (gamma.kind != ValueKind::param) continue;
    if (std::none_of(scales.begin(), scales.end(),
                     [&](const Param& p) { return p.same_as(gamma.param); }))
      scales.push_back(gamma.param);
  }
  check(!scales.empty(), "the network has no batch norms whose scales could be penalized");
  return [=](const Tensor& logits, const Batch& batch) {
    Tensor total = loss(logits, batch);
    for (const Param& gamma : scales) total = total + sum(abs(gamma())) * lambda;
    return total;
  };
}

}  // namespace pare
