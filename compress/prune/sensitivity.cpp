#include "compress/prune/sensitivity.h"

#include <algorithm>

#include "optim/evaluate.h"

namespace pare {

Sensitivity scan_sensitivity(Graph& graph, const Criterion& criterion, const Examples& examples,
                             const Preprocessing& preprocessing,
                             const SensitivityOptions& options) {
  Sensitivity scan;
  scan.sparsities = options.sparsities;
  if (options.structure.is_n_of_m())
    scan.sparsities = {1 - double(options.structure.keep) / options.structure.of};
  for (const double s : scan.sparsities)
    check(s >= 0 && s <= 1, "sensitivity: sparsity {}, expected a share between 0 and 1", s);
  const auto names = prunable_weights(graph);
  check_prunable(graph, "sensitivity");
  const auto of = int64_t(names.size() * scan.sparsities.size()) + 1;
  int64_t done = 0;
  const auto look = [&](Graph& g) {
    const Evaluation e = evaluate(g, examples, preprocessing);
    if (options.progress) options.progress(++done, of);
    return e;
  };
  const Evaluation whole = look(graph);
  scan.examples = whole.examples;
  scan.accuracy = whole.accuracy;
  scan.loss = whole.loss;
  for (const PrunableWeight& weight : names) {
    LayerSensitivity layer{weight.name, weight.param.value().elements(), {}, {}};
    const auto blocks = double(BlockGrid(weight.param.value().shape(), options.structure).blocks());
    for (const double s : scan.sparsities) {
      Graph thinned = graph.clone();
      const std::vector<PrunedLayer> pruned =
          prune(thinned, criterion,
                {.sparsity = std::min(s, 1 - 1 / blocks),
                 .scope = criterion.by_row() ? PruneScope::row : PruneScope::local,
                 .structure = options.structure,
                 .filter = [&](const PrunableWeight& w) { return w.name == weight.name; }});
      layer.achieved.push_back(1 - double(pruned[0].kept) / double(layer.elements));
      const Evaluation e = look(thinned);
      layer.accuracy.push_back(e.accuracy);
      layer.loss.push_back(e.loss);
    }
    scan.layers.push_back(std::move(layer));
  }
  return scan;
}

double tolerated_sparsity(const Sensitivity& scan, const LayerSensitivity& layer, double drop) {
  double best = 0;
  for (size_t i = 0; i < scan.sparsities.size(); ++i) {
    if (layer.accuracy[i] < scan.accuracy - drop) break;
    best = layer.achieved[i];
  }
  return best;
}

}  // namespace pare
