// What is a norm, and running statistics of norms, estimated anew after the weights before them
// have changed.
#pragma once

#include <cstdint>

#include "autograd/graph.h"
#include "datasets/dataset.h"

namespace pare {

// Whether a node is a norm with scales and shifts: batch_norm, or a user's op that says so
// (Coupling::per_channel).
bool is_norm(const GraphNode& node);

struct ReestimateOptions {
  int64_t batches = 200;  // at most; fewer where the data hold fewer
  int64_t batch = 64;
  uint64_t seed = 1;  // of their order
};

// Forgets the running means and variances and sets them to the average over batches of the training
// part (without what is held out) in train mode:
//
//   statistic_k = (1 - 1/k) statistic_(k-1) + 1/k statistic of batch k
//
// Weights and all else stay as they are. Returns how many norms with running statistics there are;
// without one it looks at no data. Throws Error{usage} for less than a batch of two images.
int reestimate_batch_norm(Graph& graph, const Dataset& data, const ReestimateOptions& options = {});

}  // namespace pare
