#include "compress/plan/dense_layers.h"

#include <algorithm>

#include "compress/prune/criterion.h"

namespace pare {
namespace {

double zero_share(const Param& param) {
  const auto w = param.masked_value().to_vector<float>();
  return double(std::count(w.begin(), w.end(), 0.0f)) / double(w.size());
}

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string why_dense(const SparseLayers& layers, const GraphNode& node, double zeros) {
  if (holds(layers.dense_won, node.name)) return "measured, no sparse kernel is faster there";
  if (holds(layers.conversions_cost, node.name))
    return "measured, a sparse kernel is faster, but not with the conversions of layout around it";
  const std::string_view op = node.op->name;
  if (!op.starts_with("dense") && !op.starts_with("conv2d"))
    return message("{} has no sparse kernel", op);
  if (100 * zeros < percent_zeros_for_sparse)
    return "too few zeros for a sparse kernel to be tried";
  return layers.overruled ? "measured, the plan as a whole is faster so"
                          : "no sparse kernel takes its input or weight";
}

}  // namespace

std::vector<DenseLayer> dense_layers_with_zeros(const Graph& graph, const SparseLayers& layers) {
  std::vector<DenseLayer> found;
  for (const PrunableWeight& w : prunable_weights(graph)) {
    const double zeros = zero_share(w.param);
    if (zeros > 0 && !holds(layers.sparse, w.node))
      found.push_back(
          {w.node, zeros, why_dense(layers, graph.nodes[size_t(graph.find_node(w.node))], zeros)});
  }
  return found;
}

}  // namespace pare
