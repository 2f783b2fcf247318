// What a graph consists of, counted: per node its output, weights, nonzeros, width and
// multiply-accumulates.
#pragma once

#include <string>
#include <vector>

#include "autograd/graph.h"

namespace pare {

struct NodeSummary {
  std::string name, op;
  Shape output;         // at batch 1
  int64_t params = 0;   // elements of weights first used here, biases and constants among them
  int64_t nonzero = 0;  // of those
  int bits = 0;         // of an element of the weight; 0 without one
  int64_t weight_bytes = 0;
  int64_t macs = 0;            // multiply-accumulates of one example
  int64_t effective_macs = 0;  // those whose weight is not zero
};

struct GraphSummary {
  std::vector<NodeSummary> nodes;
  int64_t params = 0, nonzero = 0, weight_bytes = 0, macs = 0, effective_macs = 0;
};

// Runs one example of zeros through the graph (evaluation) to see shapes.
GraphSummary summarize(Graph& graph);

}  // namespace pare
