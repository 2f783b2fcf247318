// pare prune FILE|MODEL: identify, eliminate, train, measure. pare prune --resume OUT.ckpt.
#include "tools/prune.h"

#include "autograd/graph_file.h"
#include "core/file_io.h"
#include "optim/history.h"
#include "tools/prune_channels.h"
#include "tools/prune_sample.h"
#include "tools/usage.h"

namespace pare::tool {
namespace {

void begin(PruneRun& run) {
  check_prune_flags(run);
  const PruneFlags& f = run.flags;
  Start start = start_from(f.file, run.common);
  check(f.sparsity >= 0 && f.sparsity <= 1, "--sparsity {}, expected a share between 0 and 1",
        f.sparsity);
  run.graph = std::move(start.graph);
  run.data = std::move(start.data);
  run.original = run.graph.clone();
  run.out = training_output(run.common, f.file, "-pruned", run.training.teacher);
  // --out may replace the input, the control may not.
  check(f.control != "scratch" || real_path(control_file(run)) != real_path(f.file),
        "--control scratch would overwrite {}, which this run reads; name another --out", f.file);
  if (f.control == "scratch") declare_new_training(control_file(run), "--control scratch");
  if (run.training.epochs.value_or(1) == 0 &&
      (!start.is_file || origin_of(run.graph) == Origin::initial))
    keep_trained(run.out);
  run.bytes_before = start.is_file ? file_bytes(f.file) : int64_t(saved_bytes(run.graph));
}

void go_on(PruneRun& run) {
  run.checkpoint = load_checkpoint(run.resume);
  read_task(run, run.checkpoint->options.task);
  run.checkpoint->options.quiet = run.common.quiet;
  run.out = run.checkpoint->options.out;
  declare_resumed_training(*run.checkpoint, run.resume);
  if (run.flags.control == "scratch")
    declare_training(run_files(), control_file(run), "--control scratch");
  read_original(run);
  run.data = open_data(run.common, run.original);
  if (run.checkpoint->finished())
    note(run.common, "{}: its training is finished; what follows it is done", run.resume);
  else
    note(run.common, "resuming {} at epoch {} of {}", run.resume, run.checkpoint->state.epoch + 1,
         run.checkpoint->options.epochs);
}

bool looks_at_data(const PruneRun& run) {
  if (run.criterion) return run.criterion->needs_data();
  return run.flags.structure == "block" ||
         make_channel_criterion(run.flags.method, run.common.seed)->needs_data();
}

void run_prune(const PruneRequest& request) {
  PruneRun run(request);
  run.common.apply();
  check(run.flags.file.empty() || run.resume.empty(),
        "--resume goes on with the network of {}; '{}' has no part in that, leave it out",
        run.resume, run.flags.file);
  check(!run.flags.file.empty() || !run.resume.empty(),
        "name a file or a model to prune, or --resume a checkpoint");
  if (run.resume.empty())
    begin(run);
  else
    go_on(run);
  const std::string& when = run.flags.when;
  run.device = run.common.device_for(
      run.graph.nodes.empty() ? run.original : run.graph, Use::training,
      when == "gradual" || when == "dynamic"
          ? fmt::format("--when {} changes masks between steps, which it does on the CPU", when)
          : "");
  check_precision(run.training, run.device);
  if (!is_structured(run.flags.structure))
    run.criterion = make_criterion(run.flags.method, run.common.seed);
  if (run.resume.empty()) {
    rehearse(run);
    run.before = evaluate(run.graph, run.data.test, run.data.preprocessing);
  }
  if (looks_at_data(run)) run.sample = pruning_sample(run.data);
  prune_and_train(run);
  save_graph(run.graph, run.out);
  run.after = evaluate(run.graph, run.data.test, run.data.preprocessing);
  if (run.flags.control != "none") train_control(run);
  report(run);
}

}  // namespace

void add_prune(CLI::App& app) {
  auto* command = app.add_subcommand("prune", "identify, eliminate, fine-tune");
  command->footer(
      "Example: pare prune lenet5.pare --sparsity 0.9 --epochs 2 --out pruned.pare\n"
      "Example: pare prune lenet5.pare --when gradual --sparsity 0.98 --epochs 10");
  auto ask = std::make_shared<PruneRequest>();
  PruneFlags& f = ask->flags;
  command->add_option("file", f.file, "model file; or mlp, lenet5, ... for a new network");
  auto* resume =
      command->add_option("--resume", ask->resume, "checkpoint (OUT.ckpt) of an interrupted run");
  const size_t first = command->get_options().size();
  command->add_option("--method", f.method,
                      "how weights are ranked: magnitude, magnitude-l2, taylor, snip, fisher, "
                      "wanda, grasp, synflow, random; channels by magnitude, magnitude-l2, "
                      "taylor, bn-scale, fpgm, group, random");
  command->add_option(
      "--structure", f.structure,
      "what is removed: unstructured, blocks of rows x columns (4x1, 8x1, 1x4), N:M (2:4); "
      "channel or block (whole residual blocks), which make the network itself smaller");
  command->add_option("--sparsity", f.sparsity, "share of the weights to remove, 0..1");
  command->add_option("--scope", f.scope,
                      "rank within each layer (local), over all (global), by extents (erk), or "
                      "within each output (row, which wanda does unless told)");
  command->add_option("--when", f.when,
                      "one-shot; iterative, in rounds with fine-tuning between; gradual, while it "
                      "trains; init, before it trains; lottery, rounds that rewind the weights; "
                      "dynamic, dropping and growing connections while it trains (RigL)");
  command->add_option("--rounds", f.rounds, "rounds of iterative, init and lottery")
      ->check(between(1, 1000));
  command->add_option("--ramp", f.ramp,
                      "how sparsity rises in gradual pruning: cubic, linear, exponential, cosine");
  command->add_option("--ramp-begin", f.ramp_begin, "share of the training before it rises");
  command->add_option("--ramp-end", f.ramp_end,
                      "share of the training after which masks stay (gradual, dynamic)");
  command->add_option("--every", f.every, "steps between changes of masks (gradual, dynamic)");
  command->add_option("--fraction", f.fraction,
                      "share of the connections that dynamic pruning moves at first");
  command->add_option("--rewind", f.rewind,
                      "step whose weights lottery tickets go back to; 0: the initial ones");
  command->add_option("--control", f.control,
                      "scratch: train fresh weights under the same masks as long, and compare");
  command->add_option("--control-lr", f.control_rate,
                      "highest learning rate of the control, instead of the network's own");
  add_channel_flags(*command, ask->channels);
  const size_t last = command->get_options().size();
  add_common(*command, ask->common, with_data | with_out | with_seed | with_batch | with_device);
  const size_t training = command->get_options().size();
  add_training(*command, ask->training);
  // A resumed run is the run it was: its options stand in the checkpoint.
  const auto options = command->get_options();
  for (size_t i = first; i < options.size(); ++i)
    if (i < last || i >= training) resume->excludes(options[i]);
  for (const char* name : {"--seed", "--batch", "--out"}) resume->excludes(name);
  command->callback([ask, command] {
    if (ask->resume.empty()) {
      const auto given = [&](const char* option) { return command->count(option) > 0; };
      check(!given("--sparsity") || (!ask->channels.macs && ask->channels.widths.empty()),
            "--sparsity, --macs and --widths each say how much goes; give one");
      if (!ask->channels.widths.empty())
        ask->common.refuse({"--scope", "--floor", "--round-to"},
                           "--widths, which says what each group keeps");
      settle_prune_flags(ask->flags, given);
    }
    run_prune(*ask);
  });
}

}  // namespace pare::tool
