// The trainings of `pare prune`: after or during elimination, and of the control.
#include <algorithm>
#include <limits>

#include "autograd/graph_file.h"
#include "compress/prune/gradual.h"
#include "compress/prune/rigl.h"
#include "layers/zoo.h"
#include "optim/history.h"
#include "tools/prune.h"
#include "tools/summary.h"

namespace pare::tool {
namespace {

// Networks that have learned already are tuned; the others, and those that are pruned meanwhile,
// take a whole training.
bool whole_training(const PruneFlags& f) { return f.when != "one-shot" && f.when != "iterative"; }

TrainOptions options_of(const PruneRun& run, Graph& graph) {
  const std::string model = graph.get_metadata("model");
  TrainOptions o = whole_training(run.flags) ? default_recipe(model, run.data)
                                             : fine_tune_recipe(model, run.data);
  apply_flags(run.training, run.common, graph, o);
  o.out = run.out;
  return o;
}

std::shared_ptr<TrainHook> hook_of(const PruneRun& run, int64_t steps) {
  const PruneFlags& f = run.flags;
  const auto at = [&](double share) { return int64_t(share * double(steps - 1)); };
  if (f.when == "gradual") {
    const double already = sparsity_of(run.original);
    // An earlier pruning to the same sparsity may have rounded up by half a weight.
    constexpr double rounding = 5e-4;
    check(already <= f.sparsity + rounding,
          "--when gradual lets the sparsity rise to {}, but {} of the weights of {} are gone "
          "already",
          f.sparsity, percent(already), f.file);
    return std::make_shared<GradualPruning>(*run.criterion, run.how(),
                                            SparsityRamp{.kind = parse_ramp(f.ramp),
                                                         .initial = std::min(already, f.sparsity),
                                                         .final = f.sparsity,
                                                         .begin = at(f.ramp_begin),
                                                         .end = at(f.ramp_end),
                                                         .every = f.every},
                                            run.sample);
  }
  if (f.when == "dynamic")
    return std::make_shared<RigL>(RigLOptions{.fraction = f.fraction,
                                              .every = f.every,
                                              .end = f.ramp_end,
                                              .structure = parse_structure(f.structure)});
  return nullptr;
}

// Says where --every leaves no time for what --when means.
void tell_rare_changes(const PruneRun& run, int64_t steps) {
  const PruneFlags& f = run.flags;
  const auto at = [&](double share) { return int64_t(share * double(steps - 1)); };
  if (f.when == "gradual")
    if (const int64_t rise = at(f.ramp_end) - at(f.ramp_begin); f.every >= rise)
      note(
          run.common,
          "note: --every {}: the sparsity may rise within {} steps, so it does in one jump; give a "
          "smaller --every or train longer",
          f.every, rise);
  if (const int64_t last = int64_t(f.ramp_end * double(steps));
      f.when == "dynamic" && f.every >= last)
    note(run.common,
         "note: --every {}: connections may move within {} steps, so none does; give a smaller "
         "--every or train longer",
         f.every, last);
}

// What is compared is judged on the same images: what is known of others is known no longer.
void forget_test_part(PruneRun& run) {
  run.pruned.accuracy = std::numeric_limits<double>::quiet_NaN();
  if (run.flags.when == "lottery" && run.round > 0)  // the first training's network is gone
    run.before.accuracy = run.pruned.accuracy;
  else
    run.before = evaluate(run.original, run.data.test, run.data.preprocessing);
}

bool began_fresh(const PruneRun& run) {
  const std::string& when = run.flags.when;
  return whole_training(run.flags) &&
         (when == "init" || when == "lottery" || origin_of(run.original) == Origin::initial);
}

TrainOptions control_options(const PruneRun& run, Graph& fresh) {
  TrainingFlags flags = run.training;
  CommonOptions common = run.common;
  if (!began_fresh(run)) {
    for (auto* text : {&flags.optimizer, &flags.schedule}) text->reset();
    for (auto* number : {&flags.rate, &flags.momentum, &flags.weight_decay, &flags.warmup,
                         &flags.clip, &flags.average})
      number->reset();
    common.batch = 0;
  }
  if (run.flags.control_rate) flags.rate = run.flags.control_rate;
  TrainOptions o = default_recipe(fresh.get_metadata("model"), run.data);
  const int64_t usual = o.epochs;
  apply_flags(flags, common, fresh, o);
  if (!began_fresh(run)) {
    const int64_t before = trained_epochs(run.original);
    o.epochs = run.epochs + (before > 0 ? before : usual);
  }
  o.out = control_file(run);
  return o;
}

}  // namespace

void train(PruneRun& run, const std::shared_ptr<RememberStep>& ticket) {
  TrainOptions options;
  if (run.checkpoint) {
    options = run.checkpoint->options;
  } else {
    if (run.training.epochs.value_or(1) == 0) return;
    options = options_of(run, run.graph);
    run.epochs += options.epochs;
    options.task = task_of(run);
  }
  Graph& trained = run.checkpoint ? run.checkpoint->graph : run.graph;
  to_device(trained, run.device);
  const auto trainer = run.checkpoint ? std::make_unique<Trainer>(*run.checkpoint, run.data)
                                      : std::make_unique<Trainer>(run.graph, run.data, options);
  set_task_loss(*trainer, options.task, trained);
  if (trainer->test_part_changed()) forget_test_part(run);
  if (auto hook = hook_of(run, trainer->steps())) trainer->add(std::move(hook));
  if (ticket) trainer->add(ticket);
  trainer->add(carry_original(run));
  run_training(*trainer, resume_command(run.common, "prune", run.out));
  to_device(trained, Device{});
  if (run.checkpoint) run.graph = std::move(run.checkpoint->graph);
  run.checkpoint.reset();
}

void rehearse_trainings(PruneRun& run) {
  Graph graph = run.graph.clone();
  TrainOptions o = options_of(run, graph);
  check_effects(run.training, run.common, o, run.data);
  if (o.epochs == 0 && run.flags.control == "none") {
    const bool drawn = run.flags.method == "random" || !names_file(run.flags.file);
    for (const char* option : {"--holdout", drawn ? "" : "--seed"})
      if (run.common.given(option))
        note(run.common, "note: {} has no part in --epochs 0, which trains nothing", option);
  }
  if (o.epochs == 0) o.epochs = 1;
  Trainer trainer(graph, run.data, o);
  set_task_loss(trainer, o.task, graph);
  const TrainMoment begin{graph, 0, trainer.steps()};
  const auto hook = hook_of(run, begin.steps);
  tell_rare_changes(run, begin.steps);
  if (run.flags.when == "gradual") hook->start(begin);  // dynamic wants masks first
  if (run.flags.when == "lottery") RememberStep(run.flags.rewind).start(begin);
  if (run.flags.control != "none") Trainer(graph, run.data, control_options(run, graph));
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
  TrainOptions o = control_options(run, fresh);
  if (!began_fresh(run) && trained_epochs(run.original) == 0)
    note(run.common,
         "note: {} does not say how long it was trained; its control trains as long as a new {} "
         "usually does, and as long as this run",
         run.flags.file, model);
  note(run.common,
       "the control: fresh weights of the same shapes and masks, {} epochs, {} at rate {}",
       o.epochs, o.optimizer.name, o.optimizer.rate);
  to_device(fresh, run.device);
  Trainer trainer(fresh, run.data, o);
  set_task_loss(trainer, o.task, fresh);
  // Going on with the pruning makes the control again.
  const bool trained = file_bytes(checkpoint_file(run.out)) > 0 && run.epochs > 0;
  run_training(trainer, trained ? resume_command(run.common, "prune", run.out)
                                : resume_command(run.common, "train", o.out) +
                                      " (the control alone; the pruned network is saved)");
  run.control = {o.epochs, o.optimizer, evaluate(fresh, run.data.test, run.data.preprocessing),
                 o.out};
}

}  // namespace pare::tool
