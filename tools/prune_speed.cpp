#include "tools/prune_speed.h"

#include <fmt/format.h>

#include <algorithm>

#include "compress/plan/plan.h"
#include "compress/prune/criterion.h"

namespace pare::tool {
namespace {

// Differences below this are noise on a machine that others use.
constexpr double noticeable = 1.05;

double zero_share(const Param& param) {
  const auto w = param.value().to_vector<float>();
  return double(std::count(w.begin(), w.end(), 0.0f)) / double(w.size());
}

// The plan's line about a node; "" where it has none of its own.
std::string line_of(const std::string& plan, const std::string& node) {
  const std::string start = node + ":";
  size_t at = plan.starts_with(start) ? 0 : plan.find("\n" + start);
  if (at == std::string::npos) return {};
  if (plan[at] == '\n') ++at;
  return plan.substr(at, plan.find('\n', at) - at);
}

std::string why_dense(const Graph& graph, const std::string& node, const std::string& line,
                      double zeros, const std::string& plan) {
  if (line.find("% zeros") != std::string::npos)
    return "measured, no sparse kernel is faster there";
  const std::string_view op = graph.nodes[size_t(graph.find_node(node))].op->name;
  if (!op.starts_with("dense") && !op.starts_with("conv2d"))
    return fmt::format("{} has no sparse kernel", op);
  if (zeros < 0.3) return "too few zeros for a sparse kernel to be tried";
  if (plan.find("run dense") != std::string::npos || plan.find("runs dense") != std::string::npos)
    return "measured, the plan as a whole is faster so";
  return "no sparse form was faster";
}

struct Layers {
  bool any_sparse = false;
  std::string dense;  // a line for each that runs dense although it has zeros
};

Layers judge(const Graph& graph, const std::string& plan) {
  Layers found;
  for (const PrunableWeight& w : prunable_weights(graph)) {
    const double zeros = zero_share(w.param);
    const std::string line = line_of(plan, w.node);
    const bool sparse = line.find("sparse") != std::string::npos;
    found.any_sparse = found.any_sparse || sparse;
    if (zeros == 0 || sparse || line.empty()) continue;
    found.dense += fmt::format("\n  {} ({:.0f} % zeros) runs dense: {}", w.node, 100 * zeros,
                               why_dense(graph, w.node, line, zeros, plan));
  }
  return found;
}

}  // namespace

std::string speed_report(const Graph& graph, const MeasuredLatency& measured) {
  const std::string plan = compile(graph).describe();
  const Layers layers = judge(graph, plan);
  std::string text;
  for (const auto& [before, after] : measured) {
    const double ratio = before.p50_ms / after.p50_ms;
    text += fmt::format("\nbatch {}: ", before.batch);
    if (ratio >= noticeable)
      text += fmt::format("{:.2f}x as fast", ratio);
    else
      text += ratio > 1 / noticeable ? "not faster"
                                     : fmt::format("slower, {:.2f}x the time", 1 / ratio);
    if (ratio < noticeable && before.batch < 32 && layers.any_sparse)
      text += "; sparse kernels put 32 or 64 images side by side, so smaller batches run dense";
  }
  return text + layers.dense + "\n\nthe plan:\n" + plan;
}

}  // namespace pare::tool
