// Pruning by masks: ranks the elements (or blocks of them) of all prunable weights and masks the
// least important. The masks are frozen: optimizers, clones and files keep the zeros.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compress/prune/criterion.h"
#include "compress/prune/structure.h"

namespace pare {

enum class PruneScope : uint8_t {
  local,   // the same sparsity in every layer
  global,  // one ranking over all layers
  erk,     // kept share of a layer in proportion to (sum of extents) / (product of extents), ranked
           // within it (Erdos-Renyi kernel: Mocanu et al. 2018, Evci et al. 2020)
  row,     // the same sparsity in every row of every layer, or row of blocks, ranked within it
           // (outputs, as in Wanda: Sun et al. 2024). What a layer's rows cannot share evenly goes
           // where it is worth least; where fewer blocks stay than a layer has rows, some rows are
           // left without any.
};
// By those names; anything else is Error{usage}.
PruneScope parse_prune_scope(const std::string& text);

struct PruneOptions {
  double sparsity = 0.9;  // share of the elements of prunable weights that become zero, 0..1;
                          // an N:M structure has its own
  PruneScope scope = PruneScope::local;
  double floor = 0.1;  // a layer keeps at least this share of what an even cut would leave it, and
                       // at least one block
  PruneStructure structure = {};
  std::function<bool(const PrunableWeight&)> filter = {};  // weights to prune; empty: all
};

struct PrunedLayer {
  std::string name;  // of the weight
  int64_t elements = 0, kept = 0;
};

// Masks exactly round(sparsity * blocks) blocks (single elements unless the structure says
// otherwise) of all layers, those already masked among them; where masks drop more than a layer's
// or row's share already, that stays, and the others lose theirs. What layers' shares leave over
// goes where most is left. A block is worth the mean of its elements' scores, masked ones counting
// nothing, and among equal ones the later goes first. With N:M every run of M columns keeps its N
// best, a shorter last run in proportion, rounded up. What a mask drops already stays dropped, in
// whatever structure: within blocks and runs that are kept, too. All masks are frozen afterwards,
// soft ones among them. Throws Error{usage} where the sparsity lies outside 0..1, the floor forbids
// it, the network was never initialized, or scores are not f32 of the weight's shape;
// Error{bad_input} where a score is not finite or nothing can be pruned. Then no mask has changed.
std::vector<PrunedLayer> prune(Graph& graph, const Criterion& criterion,
                               const PruneOptions& options = {});

// The share of the elements of prunable weights that masks drop.
double sparsity_of(const Graph& graph);

// The sparsity after round `round` (from 1) of `rounds`: the kept share falls by one factor a round
// (Han et al. 2015, Frankle and Carbin 2019).
double sparsity_after(int round, int rounds, double sparsity);
// Prunes in that many rounds, each judged anew, without training between them. Throws Error{usage}
// for less than one round, and as prune() and Criterion::prepare() do.
std::vector<PrunedLayer> prune_in_rounds(Graph& graph, Criterion& criterion,
                                         const PruneOptions& options, int rounds,
                                         const std::vector<Batch>& sample);

}  // namespace pare
