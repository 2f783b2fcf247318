// What pruning did to the speed, in sentences: how much faster, and which layers run dense although
// they hold zeros, with the reason.
#pragma once

#include <string>

#include "autograd/graph.h"
#include "tools/latency.h"

namespace pare::tool {

// Ends with the plan's own account of its kernels.
std::string speed_report(const Graph& graph, const MeasuredLatency& measured);

}  // namespace pare::tool
