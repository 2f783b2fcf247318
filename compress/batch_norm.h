// Running statistics of batch norms, estimated anew after the weights before them have changed.
#pragma once

#include <cstdint>

#include "autograd/graph.h"
#include "datasets/dataset.h"

namespace pare {

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
// Weights and all else stay as they are. Returns how many batch norms there are; without one it
// looks at no data.
int reestimate_batch_norm(Graph& graph, const Dataset& data, const ReestimateOptions& options = {});

}  // namespace pare
