// The order of `pare prune`: what --when means, as rounds of eliminating and training.
#include <algorithm>
#include <cmath>

#include "compress/prune/ramp.h"
#include "core/json.h"
#include "optim/history.h"
#include "tools/prune_channels.h"
#include "tools/summary.h"

namespace pare::tool {
namespace {

constexpr int64_t few_steps = 10;  // between changes of masks that cost a step each

void known(const char* option, const std::string& value,
           std::initializer_list<std::string_view> values) {
  check(std::find(values.begin(), values.end(), value) != values.end(), "{} '{}' is unknown{}",
        option, value, suggest(value, values.begin(), values.size()));
}

// Options that belong to some values of --when.
constexpr struct {
  const char* option;
  std::string_view whens;
} whens_of[] = {{"--rounds", "iterative, init, lottery"},
                {"--ramp", "gradual"},
                {"--ramp-begin", "gradual"},
                {"--ramp-end", "gradual, dynamic"},
                {"--every", "gradual, dynamic"},
                {"--fraction", "dynamic"},
                {"--rewind", "lottery"}};

void write_history(PruneRun& run) {
  const PruneFlags& f = run.flags;
  Json entry = {{"did", "prune"},   {"method", f.method}, {"structure", f.structure},
                {"scope", f.scope}, {"when", f.when},     {"rounds", run.rounds()}};
  if (run.channels.macs)
    entry["macs"] = *run.channels.macs;
  else if (!run.channels.widths.empty())
    entry["widths"] = run.channels.widths;
  else
    entry["sparsity"] = f.sparsity;
  add_history(run.graph, to_text(entry));
}

// What cutting at once would leave, for comparison: the graph itself stays whole.
void judge_one_shot(PruneRun& run) {
  note(run.common, "for comparison, a trial that cuts at once; the network itself stays whole:");
  Graph whole = std::move(run.graph);
  run.graph = whole.clone();
  eliminate(run, run.flags.sparsity);
  run.graph = std::move(whole);
}

// The weights that a ticket goes back to: of a file, those that its seed gives again.
Graph initial_weights(PruneRun& run) {
  Graph initial = initial_network(run.graph, run.flags.file);
  check(run.flags.rewind == 0,
        "--rewind {}: only the initial weights of a file can be made again; name the model instead "
        "of the file",
        run.flags.rewind);
  return initial;
}

// Pruning before training is for initial weights: a file that is trained goes back to them.
void back_to_initial(PruneRun& run) {
  if (run.checkpoint || origin_of(run.graph) == Origin::initial) return;
  Graph initial = initial_weights(run);
  rewind(run.graph, initial);
  note(run.common, "{} is trained: it goes back to its initial weights", run.flags.file);
}

void begin_dynamic(PruneRun& run) {
  run.criterion = make_criterion("random", run.common.seed);
  if (run.flags.every < few_steps)
    note(run.common,
         "note: --every {}: until --ramp-end one step in {} moves connections instead of weights",
         run.flags.every, run.flags.every);
}

void draw_ticket(PruneRun& run) {
  auto ticket = std::make_shared<RememberStep>(run.flags.rewind);
  if (!run.checkpoint) {
    run.round = 0;
    if (origin_of(run.graph) != Origin::initial) {
      ticket = std::make_shared<RememberStep>(initial_weights(run));
      run.round = 1;
    }
  }
  for (; run.round <= run.rounds(); ++run.round) {
    if (!run.checkpoint && run.round > 0) {
      eliminate(run, sparsity_after(run.round, run.rounds(), run.flags.sparsity));
      rewind(run.graph, ticket->graph());
      if (run.round == run.rounds()) write_history(run);
    }
    note(run.common, "training {} of {}", run.round + 1, run.rounds() + 1);
    train(run, ticket);
    if (run.round == 0) run.before = evaluate(run.graph, run.data.test, run.data.preprocessing);
  }
}

}  // namespace

int PruneRun::rounds() const {
  if (flags.when == "init") return flags.rounds.value_or(criterion->rounds());
  if (flags.when == "iterative" || flags.when == "lottery") return flags.rounds.value_or(3);
  return 1;
}

void settle_prune_flags(PruneFlags& f, const std::function<bool(const char*)>& given) {
  known("--when", f.when, {"one-shot", "iterative", "gradual", "init", "lottery", "dynamic"});
  for (const auto& [option, whens] : whens_of)
    check(!given(option) || whens.find(f.when) != std::string_view::npos,
          "{} has no part in --when {}; it belongs to {}", option, f.when, whens);
  if (f.structure.find_first_of("0123456789") == std::string::npos)
    known("--structure", f.structure,
          {"unstructured", "4x1", "8x1", "1x4", "2:4", "channel", "block"});
  if (f.structure == "block") {
    check(
        !given("--method"),
        "--structure block removes the blocks that the loss misses least; --method {} has no part "
        "in it",
        f.method);
    check(!given("--scope"), "--structure block removes whole blocks; --scope has no part in it");
    f.method = "loss";
  }
  if (is_structured(f.structure)) {
    if (!given("--sparsity")) f.sparsity = f.structure == "block" ? 0.3 : 0.5;
    return;
  }
  for (const char* of_channels : {"bn-scale", "fpgm", "group"})
    check(f.method != of_channels, "--method {} ranks channels: it goes with --structure channel",
          f.method);
  const auto criterion = make_criterion(f.method);
  const PruneStructure structure = parse_structure(f.structure);
  if (!structure.is_n_of_m()) {
    if (!given("--scope") && criterion->by_row()) f.scope = "row";
    return;
  }
  check(!given("--scope"), "--structure {} keeps as many in every group; --scope has no part in it",
        f.structure);
  const double own = 1 - double(structure.keep) / double(structure.of);
  check(!given("--sparsity") || std::abs(f.sparsity - own) < 0.005,
        "--structure {} has a sparsity of its own, {}; leave --sparsity out", f.structure, own);
  f.sparsity = own;
}

void check_prune_flags(const PruneRequest& request) {
  const PruneFlags& f = request.flags;
  known("--control", f.control, {"none", "scratch"});
  check(!f.control_rate || f.control != "none",
        "--control-lr has no part in a run without --control scratch");
  parse_prune_scope(f.scope);
  parse_ramp(f.ramp);
  check(f.rounds.value_or(1) >= 1 && f.rounds.value_or(1) <= 1000,
        "--rounds {}, expected 1 to 1000", *f.rounds);
  check(f.rewind >= 0, "--rewind {}, expected a step of at least 0", f.rewind);
  check(f.ramp_begin >= 0 && f.ramp_begin < f.ramp_end && f.ramp_end <= 1,
        "--ramp-begin {}, --ramp-end {}: expected 0 <= begin < end <= 1", f.ramp_begin, f.ramp_end);
  check(f.every >= (f.when == "dynamic" ? 2 : 1),
        "--every {}, expected at least one step, and two with --when dynamic: a step that moves "
        "connections moves no weight",
        f.every);
  check_channel_flags(request);
  if (is_structured(f.structure)) return;
  const PruneStructure structure = parse_structure(f.structure);
  check(!structure.is_n_of_m() || f.when == "one-shot" || f.when == "init",
        "--when {} changes the sparsity step by step; {} has one only", f.when, f.structure);
  check(request.training.epochs.value_or(1) > 0 || f.when == "one-shot" || f.when == "iterative",
        "--when {} prunes while the network trains; --epochs 0 leaves it no training", f.when);
  check(f.when != "dynamic" || f.method == "magnitude",
        "--when dynamic drops by magnitude and grows by gradient; --method {} has no part in it",
        f.method);
}

void rehearse(PruneRun& run) {
  const std::string& when = run.flags.when;
  if ((when == "init" || when == "lottery") && origin_of(run.graph) != Origin::initial)
    initial_weights(run);
  rehearse_trainings(run);
}

void prune_and_train(PruneRun& run) {
  const std::string& when = run.flags.when;
  if (when == "lottery") return draw_ticket(run);
  if (when == "dynamic") begin_dynamic(run);
  if (when == "init") back_to_initial(run);
  const int trainings = when == "iterative" ? run.rounds() : 1;
  for (; run.round <= trainings; ++run.round) {
    if (!run.checkpoint) {
      if (when == "gradual")
        judge_one_shot(run);
      else
        eliminate(run, sparsity_after(run.round, trainings, run.flags.sparsity));
      if (run.round == trainings) write_history(run);
    }
    train(run);
  }
}

}  // namespace pare::tool
