// Sensitivity: what a network loses when one layer alone is pruned, layer by layer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compress/prune/prune.h"

namespace pare {

struct LayerSensitivity {
  std::string name;  // of the weight
  int64_t elements = 0;
  std::vector<double> accuracy, loss;  // one a sparsity
  // What each came to: a block at least stays, and what the network has lost already is gone.
  std::vector<double> achieved = {};
};

struct Sensitivity {
  int64_t examples = 0;
  double accuracy = 0, loss = 0;  // of the network as it is
  std::vector<double> sparsities;
  std::vector<LayerSensitivity> layers;  // in the order of the network
};

struct SensitivityOptions {
  std::vector<double> sparsities = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99};
  PruneStructure structure = {};  // N:M has one sparsity, whatever the list says
  // Called after each evaluation with how many are done and how many there are; may throw.
  std::function<void(int64_t done, int64_t of)> progress = {};
};

// Prunes each prunable weight alone to each sparsity (none falls below one block) and evaluates on
// `examples`, ranking within rows where the criterion does. `criterion` has been prepared where it
// needs data. `graph` stays as it is. Throws Error{usage} where a sparsity lies outside 0..1,
// Error{bad_input} where there is no weight to prune, and as prune() and evaluate() do.
Sensitivity scan_sensitivity(Graph& graph, const Criterion& criterion, const Examples& examples,
                             const Preprocessing& preprocessing,
                             const SensitivityOptions& options = {});

// The highest sparsity achieved by those scanned up to which the layer costs at most `drop` of
// accuracy; 0 where the first costs more.
double tolerated_sparsity(const Sensitivity& scan, const LayerSensitivity& layer, double drop);

}  // namespace pare
