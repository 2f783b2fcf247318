// What pruning did to the speed, in sentences: how much faster, and which layers run dense although
// they hold zeros, with the reason.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/graph.h"
#include "tools/latency.h"

namespace pare::tool {

// `measured`: before and after, a pair a batch size. Ends with the plan's own account of its
// kernels.
std::string speed_report(const Graph& graph,
                         const std::vector<std::pair<Latency, Latency>>& measured);

}  // namespace pare::tool
