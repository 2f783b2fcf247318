// The elimination of `pare prune`: one pass that removes weights, by the structure asked for.
#include "compress/batch_norm.h"
#include "tools/prune.h"

namespace pare::tool {
namespace {

void describe(const PruneRun& run, const std::vector<PrunedLayer>& layers) {
  int64_t kept = 0, all = 0;
  for (const PrunedLayer& l : layers) {
    kept += l.kept;
    all += l.elements;
  }
  note(run.common, "accuracy {} before, {} after pruning {} of the weights",
       percent(run.before.accuracy), percent(run.pruned.accuracy),
       percent(1 - double(kept) / double(all)));
  for (const PrunedLayer& l : layers)
    note(run.common, "  {:<24} {:>8} of {:>8} kept ({})", l.name, l.kept, l.elements,
         percent(double(l.kept) / double(l.elements)));
}

}  // namespace

PruneOptions PruneRun::how() const {
  return {.sparsity = flags.sparsity,
          .scope = parse_prune_scope(flags.scope),
          .structure = parse_structure(flags.structure)};
}

void eliminate(PruneRun& run, double sparsity) {
  PruneOptions how = run.how();
  how.sparsity = sparsity;
  const bool untrained = run.flags.when == "init";
  if (untrained) reestimate_batch_norm(run.graph, run.data, {.batches = 8});
  const auto layers =
      prune_in_rounds(run.graph, *run.criterion, how, untrained ? run.rounds() : 1, run.sample);
  if (reestimate_batch_norm(run.graph, run.data) > 0)
    note(run.common, "statistics of batch norms were estimated again");
  run.pruned = evaluate(run.graph, run.data.test, run.data.preprocessing);
  describe(run, layers);
}

}  // namespace pare::tool
