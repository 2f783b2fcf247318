// Measured latency of a network: what bench prints and prune and quantize compare.
#pragma once

#include <utility>
#include <vector>

#include "autograd/graph.h"

namespace pare::tool {

struct Latency {
  int64_t batch = 1;
  double p50_ms = 0, p95_ms = 0, images_per_s = 0;
};

// Runs the compiled plan of `graph` on random images on the CPU, again and again for about
// `seconds` per batch size.
Latency measure_latency(Graph& graph, int64_t batch, double seconds = 0.5);
// Before and after, a pair a batch size.
using MeasuredLatency = std::vector<std::pair<Latency, Latency>>;

// Two networks in turn, so that both see the same machine.
std::pair<Latency, Latency> compare_latency(Graph& a, Graph& b, int64_t batch,
                                            double seconds = 1.0);

}  // namespace pare::tool
