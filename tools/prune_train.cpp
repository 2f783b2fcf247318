// The trainings of `pare prune`: after or during elimination, and of the control.
#include "autograd/graph_file.h"
#include "compress/prune/gradual.h"
#include "compress/prune/rigl.h"
#include "layers/zoo.h"
#include "tools/history.h"
#include "tools/prune.h"

namespace pare::tool {
namespace {

// Networks that have learned already are tuned; the others, and those that are pruned meanwhile,
// take a whole training.
bool whole_training(const PruneFlags& f) { return f.when != "one-shot" && f.when != "iterative"; }

TrainOptions options_of(PruneRun& run) {
  const std::string model = run.graph.get_metadata("model");
  TrainOptions o = whole_training(run.flags) ? default_recipe(model, run.data)
                                             : fine_tune_recipe(model, run.data);
  apply_flags(run.training, run.common, run.graph, o);
  o.out = run.out;
  return o;
}

std::shared_ptr<TrainHook> hook_of(const PruneRun& run, int64_t steps) {
  const PruneFlags& f = run.flags;
  const auto at = [&](double share) { return int64_t(share * double(steps - 1)); };
  if (f.when == "gradual")
    return std::make_shared<GradualPruning>(*run.criterion, run.how(),
                                            SparsityRamp{.kind = parse_ramp(f.ramp),
                                                         .initial = sparsity_of(run.original),
                                                         .final = f.sparsity,
                                                         .begin = at(f.ramp_begin),
                                                         .end = at(f.ramp_end),
                                                         .every = f.every},
                                            run.sample);
  if (f.when == "dynamic")
    return std::make_shared<RigL>(RigLOptions{.fraction = f.fraction,
                                              .every = f.every,
                                              .end = f.ramp_end,
                                              .structure = parse_structure(f.structure)});
  return nullptr;
}

}  // namespace

void train(PruneRun& run, const std::shared_ptr<RememberStep>& ticket) {
  TrainOptions options;
  if (run.checkpoint) {
    options = run.checkpoint->options;
  } else {
    if (run.training.epochs.value_or(1) == 0) return;
    options = options_of(run);
    run.epochs += options.epochs;
    options.task = task_of(run);
  }
  Graph& trained = run.checkpoint ? run.checkpoint->graph : run.graph;
  to_device(trained, run.device);
  const auto trainer = run.checkpoint ? std::make_unique<Trainer>(*run.checkpoint, run.data)
                                      : std::make_unique<Trainer>(run.graph, run.data, options);
  set_task_loss(*trainer, options.task, trained);
  if (auto hook = hook_of(run, trainer->steps())) trainer->add(std::move(hook));
  if (ticket) trainer->add(ticket);
  trainer->add(carry_original(run));
  run_training(*trainer);
  to_device(trained, Device{});
  if (run.checkpoint) run.graph = std::move(run.checkpoint->graph);
  run.checkpoint.reset();
}

std::string control_file(const PruneRun& run) {
  constexpr std::string_view ending = ".pare";
  const size_t end = run.out.size() - (run.out.ends_with(ending) ? ending.size() : 0);
  return run.out.substr(0, end) + "-scratch.pare";
}

void train_control(PruneRun& run) {
  const std::string model = run.graph.get_metadata("model");
  Graph fresh = run.graph.clone();
  reinitialize(fresh, run.common.seed + 1000, initial_gain(model));
  TrainOptions o = default_recipe(model, run.data);
  const int64_t usual = o.epochs;
  apply_flags(run.training, run.common, fresh, o);
  if (!whole_training(run.flags)) {
    const int64_t before = trained_epochs(run.original);
    o.epochs = run.epochs + (before > 0 ? before : usual);
  }
  o.out = control_file(run);
  note(run.common, "the control: fresh weights of the same shapes and masks, {} epochs", o.epochs);
  to_device(fresh, run.device);
  Trainer trainer(fresh, run.data, o);
  set_task_loss(trainer, o.task, fresh);
  run_training(trainer);
  run.control = {o.epochs, evaluate(fresh, run.data.test, run.data.preprocessing), o.out};
}

}  // namespace pare::tool
