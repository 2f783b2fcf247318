#include "tools/prune_speed.h"

#include <fmt/format.h>

#include "compress/plan/dense_layers.h"

namespace pare::tool {
namespace {

// Differences below this are noise on a machine that others use.
constexpr double noticeable = 1.05;

}  // namespace

std::string speed_report(const Graph& graph, const MeasuredLatency& measured) {
  const Plan plan = compile(graph);
  const SparseLayers layers = plan.sparse_layers();
  std::string text;
  for (const auto& [before, after] : measured) {
    const double ratio = before.p50_ms / after.p50_ms;
    text += fmt::format("\nbatch {}: ", before.batch);
    if (ratio >= noticeable)
      text += fmt::format("{:.2f}x as fast", ratio);
    else
      text += ratio > 1 / noticeable ? "not faster"
                                     : fmt::format("slower, {:.2f}x the time", 1 / ratio);
    if (ratio < noticeable && before.batch < 32 && !layers.sparse.empty())
      text += "; sparse kernels put 32 or 64 images side by side, so smaller batches run dense";
  }
  for (const DenseLayer& layer : dense_layers_with_zeros(graph, layers))
    text += fmt::format("\n  {} ({:.0f} % zeros) runs dense: {}", layer.node, 100 * layer.zeros,
                        layer.why);
  return text + "\n\nthe plan:\n" + plan.describe();
}

}  // namespace pare::tool
