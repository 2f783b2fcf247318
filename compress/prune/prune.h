// Unstructured pruning: ranks the elements of all prunable weights and masks the least important.
// The masks are frozen: optimizers, clones and files keep the zeros.
#pragma once

#include <string>
#include <vector>

#include "compress/prune/criterion.h"

namespace pare {

enum class PruneScope : uint8_t {
  local,   // the same sparsity in every layer
  global,  // one ranking over all layers
};

struct PruneOptions {
  double sparsity = 0.9;  // share of the elements of prunable weights that become zero, 0..1
  PruneScope scope = PruneScope::local;
  double floor = 0.01;  // share of every layer that stays whatever its rank; at least one element
};

struct PrunedLayer {
  std::string name;  // of the weight
  int64_t elements = 0, kept = 0;
};

// Masks exactly round(sparsity * elements) elements, those already masked among them; among equal
// scores the later index goes first. Throws Error{usage} where the sparsity lies outside 0..1 or
// the floor forbids it, Error{bad_input} where a score is not finite or nothing can be pruned.
std::vector<PrunedLayer> prune(Graph& graph, const Criterion& criterion,
                               const PruneOptions& options = {});

}  // namespace pare
