// The order of `pare prune`: what --when means, as rounds of eliminating and training.
#include <cmath>

#include "compress/prune/prune.h"
#include "tools/compress_report.h"
#include "tools/prune.h"

namespace pare::tool {
namespace {

void known(const char* option, const std::string& value,
           std::initializer_list<std::string_view> values) {
  check(std::find(values.begin(), values.end(), value) != values.end(), "{} '{}' is unknown{}",
        option, value, suggest(value, values.begin(), values.size()));
}

void fine_tune(PruneRun& run) {
  TrainOptions options = fine_tune_recipe(run.graph.get_metadata("model"), run.data);
  apply_flags(run.training, run.common, options);
  options.out = run.out;
  if (run.training.epochs.value_or(1) == 0) return;
  Trainer trainer(run.graph, run.data, options);
  set_task_loss(trainer, options.task, run.graph);
  run_training(trainer);
}

}  // namespace

void check_prune_flags(const PruneFlags& f) {
  known("--when", f.when, {"one-shot", "iterative"});
  parse_prune_scope(f.scope);
  check(f.rounds >= 1 && f.rounds <= 100, "--rounds {}, expected 1 to 100", f.rounds);
  check(f.when == "one-shot" || !parse_structure(f.structure).is_n_of_m(),
        "--when iterative raises the sparsity step by step; {} has one only", f.structure);
}

void prune_and_train(PruneRun& run) {
  const PruneFlags& f = run.flags;
  const int rounds = f.when == "one-shot" ? 1 : f.rounds;
  for (int round = 1; round <= rounds; ++round) {
    // The kept share falls by the same factor each round (Han et al. 2015, Frankle and Carbin
    // 2019).
    eliminate(run,
              round == rounds ? f.sparsity : 1 - std::pow(1 - f.sparsity, double(round) / rounds));
    if (round == rounds)
      add_history(run.graph, {{"did", "prune"},
                              {"method", f.method},
                              {"structure", f.structure},
                              {"scope", f.scope},
                              {"rounds", rounds},
                              {"sparsity", f.sparsity}});
    fine_tune(run);
  }
}

}  // namespace pare::tool
