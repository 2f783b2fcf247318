// The elimination of `pare prune`: one pass that removes weights, by the structure asked for.
#include "compress/batch_norm.h"
#include "tools/prune_channels.h"

namespace pare::tool {
namespace {

void describe(const PruneRun& run, const std::vector<PrunedLayer>& layers) {
  int64_t kept = 0, all = 0;
  for (const PrunedLayer& l : layers) {
    kept += l.kept;
    all += l.elements;
  }
  note(run.common, "{} of the weights are gone", percent(1 - double(kept) / double(all)));
  for (const PrunedLayer& l : layers)
    note(run.common, "  {:<24} {:>8} of {:>8} kept ({})", l.name, l.kept, l.elements,
         percent(double(l.kept) / double(l.elements)));
}

// What a structure cannot do everywhere.
void tell_limits(const PruneRun& run, const PruneStructure& structure) {
  for (const std::string& name : weights_left_dense(run.graph))
    note(run.common, "note: '{}' stays dense: pruning does not know the op that uses it", name);
  for (const PrunableWeight& w : prunable_weights(run.graph)) {
    const BlockGrid grid(w.param.value().shape(), structure);
    if (const int64_t rest = grid.rows() % structure.rows)
      note(run.common, "note: '{}' has {} rows, no multiple of {}: its last blocks have {}", w.name,
           grid.rows(), structure.rows, rest);
    if (const int64_t rest = grid.columns() % structure.columns)
      note(run.common,
           "note: '{}' has {} columns, no multiple of {}: the last blocks of a row have {}", w.name,
           grid.columns(), structure.columns, rest);
    if (!structure.is_n_of_m()) continue;
    if (const int64_t rest = grid.columns() % structure.of)
      note(run.common, "note: '{}' has {} columns, no multiple of {}: the last {} of a row keep {}",
           w.name, grid.columns(), structure.of, rest,
           (rest * structure.keep + structure.of - 1) / structure.of);
  }
}

void mask_weights(PruneRun& run, double sparsity) {
  PruneOptions how = run.how();
  how.sparsity = sparsity;
  if (run.round <= 1) tell_limits(run, how.structure);
  const bool untrained = run.flags.when == "init";
  if (untrained) reestimate_batch_norm(run.graph, run.data, {.batches = 8});
  const double before = sparsity_of(run.graph);
  describe(run, prune_in_rounds(run.graph, *run.criterion, how, untrained ? run.rounds() : 1,
                                run.sample));
  if (before > 0 && sparsity_of(run.graph) == before)
    note(run.common,
         "note: nothing was removed: {} of the weights were gone already, {} are asked for",
         percent(before), percent(sparsity));
}

}  // namespace

PruneOptions PruneRequest::how() const {
  return {.sparsity = flags.sparsity,
          .scope = parse_prune_scope(flags.scope),
          .structure = parse_structure(flags.structure)};
}

void eliminate(PruneRun& run, double sparsity) {
  is_structured(run.flags.structure) ? eliminate_structured(run, sparsity)
                                     : mask_weights(run, sparsity);
  if (reestimate_batch_norm(run.graph, run.data) > 0)
    note(run.common, "statistics of batch norms were estimated again");
  run.pruned = evaluate(run.graph, run.data.test, run.data.preprocessing);
  note(run.common, "accuracy {} before, {} after pruning", percent(run.before.accuracy),
       percent(run.pruned.accuracy));
}

}  // namespace pare::tool
