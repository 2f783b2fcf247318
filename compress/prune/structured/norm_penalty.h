// Network slimming's training (Liu et al. 2017): a penalty that drives the scales of batch norms to
// zero where a channel is not worth its place, for NormScale to remove afterwards.
#pragma once

#include "autograd/graph.h"
#include "optim/trainer.h"

namespace pare {

// loss + lambda sum |gamma| over all batch norms of `graph`; usual lambdas are 1e-5 to 1e-4. Throws
// Error{usage} for a negative lambda and where there is no norm.
LossFn with_norm_penalty(LossFn loss, const Graph& graph, double lambda);

}  // namespace pare
