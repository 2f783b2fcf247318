// The elimination of `pare prune`: one pass that removes weights, by the structure asked for.
#include "compress/prune/prune.h"
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

void eliminate(PruneRun& run, double sparsity) {
  if (run.criterion->needs_data()) run.criterion->prepare(run.graph, run.sample);
  const auto layers = prune(run.graph, *run.criterion,
                            {.sparsity = sparsity,
                             .scope = parse_prune_scope(run.flags.scope),
                             .structure = parse_structure(run.flags.structure)});
  run.pruned = evaluate(run.graph, run.data.test, run.data.preprocessing);
  describe(run, layers);
}

}  // namespace pare::tool
