// pare prune FILE: identify, eliminate, fine-tune, measure.
#include "tools/prune.h"

#include "autograd/graph_file.h"
#include "tools/compress_report.h"

namespace pare::tool {
namespace {

std::string stem(const std::string& path) {
  return path.ends_with(".pare") ? path.substr(0, path.size() - 5) : path;
}

// 512 training examples, the same for every seed.
std::vector<Batch> batches_to_look_at(const Dataset& data) {
  Loader loader(hold_out(data.train, 0.1).train, data.preprocessing,
                {.batch = 64, .seed = 1, .augment = {}});
  std::vector<Batch> batches(8);
  size_t n = 0;
  while (n < batches.size() && loader.next(batches[n])) ++n;
  batches.resize(n);
  return batches;
}

void run_prune(PruneRun& run) {
  const PruneFlags& f = run.flags;
  run.common.apply();
  check_prune_flags(f);
  run.criterion = make_criterion(f.method, run.common.seed);
  run.graph = open_model(f.file);
  run.original = run.graph.clone();
  run.data = open_data(run.common, run.graph);
  run.data.preprocessing = preprocessing_of(run.graph, run.data);
  run.out = run.common.out.empty() ? stem(f.file) + "-pruned.pare" : run.common.out;
  if (run.criterion->needs_data()) run.sample = batches_to_look_at(run.data);
  run.before = evaluate(run.graph, run.data.test, run.data.preprocessing);
  prune_and_train(run);
  save_graph(run.graph, run.out);
  run.after = evaluate(run.graph, run.data.test, run.data.preprocessing);
  report(run);
}

}  // namespace

void add_prune(CLI::App& app) {
  auto* command = app.add_subcommand("prune", "identify, eliminate, fine-tune");
  command->footer("Example: pare prune lenet5.pare --sparsity 0.9 --epochs 2 --out pruned.pare");
  auto run = std::make_shared<PruneRun>();
  PruneFlags& f = run->flags;
  command->add_option("file", f.file, "model file")->required();
  command->add_option(
      "--method", f.method,
      "how weights are ranked: magnitude, magnitude-l2, taylor, snip, fisher, wanda, random");
  command->add_option(
      "--structure", f.structure,
      "what is removed: unstructured, blocks of rows x columns (4x1, 8x1, 1x4), N:M (2:4)");
  command->add_option("--sparsity", f.sparsity, "share of the weights to remove, 0..1");
  command->add_option("--scope", f.scope,
                      "rank within each layer (local), over all (global), or by extents (erk)");
  command->add_option("--when", f.when, "one-shot, or iterative: prune and fine-tune in rounds");
  command->add_option("--rounds", f.rounds, "rounds of iterative pruning");
  add_common(*command, run->common, with_data | with_out | with_seed | with_batch);
  add_training(*command, run->training);
  command->callback([run] { run_prune(*run); });
}

}  // namespace pare::tool
