#include "tools/prune_channels.h"

#include <algorithm>

#include "autograd/graph_summary.h"
#include "compress/prune/structured/blocks.h"
#include "compress/prune/structured/prune_channels.h"

namespace pare::tool {
namespace {

// Of all groups: before the first round, and now.
std::pair<int64_t, int64_t> count_channels(const std::vector<PrunedGroup>& groups) {
  std::pair<int64_t, int64_t> channels;
  for (const PrunedGroup& g : groups) {
    channels.first += g.channels;
    channels.second += g.kept;
  }
  return channels;
}

double share_gone(int64_t before, int64_t after) {
  return 1 - double(after) / double(std::max<int64_t>(1, before));
}

// A share of channels that differs from the one asked for by more than this is told.
constexpr double worth_a_note = 0.005;

int64_t count_blocks(const Graph& graph) { return int64_t(residual_blocks(graph).size()); }

void remove_blocks(PruneRun& run, double sparsity) {
  const int64_t all = count_blocks(run.original);
  check(all > 0, ErrorCode::bad_input,
        "the network has no residual blocks with an identity shortcut to remove");
  const int64_t count = std::llround(sparsity * double(all)) - int64_t(run.removed.size());
  if (run.removed.empty() && count == 0)
    note(run.common, "note: {} of {} residual blocks are none; nothing is removed",
         percent(sparsity), all);
  for (const RemovedBlock& b :
       prune_blocks(run.graph, run.sample, int(std::max<int64_t>(0, count)))) {
    note(run.common, "  {} removed; loss on training examples {:.4f}", b.name, b.loss);
    run.removed.push_back(b.name);
  }
}

void remove_channels(PruneRun& run, double sparsity) {
  const auto criterion = make_channel_criterion(run.flags.method, run.common.seed);
  if (criterion->needs_data())
    criterion->prepare(run.graph, find_channel_groups(run.graph), run.sample);
  const ChannelFlags& f = run.channels;
  ChannelOptions how{.sparsity = sparsity,
                     .macs = f.macs,
                     .widths = f.widths,
                     .scope = parse_prune_scope(run.flags.scope),
                     .round_to = f.round_to,
                     .rounds = run.groups};
  how.floor = f.floor.value_or(how.floor);
  if (run.groups.empty() && sparsity < run.flags.sparsity) {
    // What the last round cannot reach is an error before the first one trains.
    ChannelOptions last = how;
    last.sparsity = run.flags.sparsity;
    Graph trial = run.graph.clone();
    prune_channels(trial, *criterion, last);
  }
  const ChannelReport report = prune_channels(run.graph, *criterion, how);
  add_round(run.groups, report);
  for (const PrunedGroup& g : report.groups)
    note(run.common, "  {:<28} {:>5} of {:>5} channels kept", g.name, g.kept, g.channels);
  for (const KeptChannels& k : report.whole)
    note(run.common, "  {:<28} {:>5} stay whole: {}", k.name, k.channels, k.why);
  const auto [before, now] = count_channels(run.groups);
  const double gone = share_gone(before, now);
  if (!f.macs && f.widths.empty() && std::abs(gone - sparsity) > worth_a_note)
    note(run.common, "note: {} of the channels are gone, {} were asked for: {}", percent(gone),
         percent(sparsity),
         f.round_to > 1 ? message("nothing nearer is a multiple of {} in every group", f.round_to)
                        : "floors are in the way");
}

}  // namespace

void add_channel_flags(CLI::App& command, ChannelFlags& f) {
  command.add_option("--macs", f.macs,
                     "channel: share of the multiply-accumulates to keep, instead of --sparsity");
  command
      .add_option("--widths", f.widths,
                  "channel: how many channels each group keeps (161,64), instead of --sparsity")
      ->delimiter(',');
  command.add_option("--round-to", f.round_to,
                     "channel: keep a multiple of this many channels (8 fills vector lanes)");
  command.add_option("--floor", f.floor,
                     "channel: share of every group that stays whatever its rank");
}

void check_channel_flags(const PruneRequest& request) {
  const ChannelFlags& c = request.channels;
  const PruneFlags& f = request.flags;
  check(f.structure == "channel" || !(c.macs || c.floor || !c.widths.empty() || c.round_to != 1),
        "--macs, --widths, --round-to and --floor are options of --structure channel, not of {}",
        f.structure);
  check(!c.macs || c.widths.empty(), "--macs and --widths both say how much goes; give one");
  if (!is_structured(f.structure)) return;
  check(f.when == "one-shot" || f.when == "iterative",
        "--when {} leaves zeros in place; channels and blocks go one-shot or iteratively", f.when);
  check(f.when == "one-shot" || (!c.macs && c.widths.empty()),
        "--when iterative raises the sparsity step by step; --macs and --widths are one step");
  if (f.structure == "channel") make_channel_criterion(f.method);
}

void eliminate_structured(PruneRun& run, double sparsity) {
  run.flags.structure == "block" ? remove_blocks(run, sparsity) : remove_channels(run, sparsity);
}

void add_structured_facts(PruneRun& run, Json& json, std::vector<BeforeAfter>& rows) {
  const auto row = [&](const char* what, int64_t before, int64_t after) {
    rows.push_back({what, std::to_string(before), std::to_string(after)});
    json["sparsity_achieved"] = share_gone(before, after);
  };
  if (run.flags.structure == "block") {
    const int64_t all = count_blocks(run.original);
    row("residual blocks", all, all - int64_t(run.removed.size()));
    json["removed"] = run.removed;
  } else {
    const auto [before, now] = count_channels(run.groups);
    row("channels", before, now);
    if (run.channels.macs) json["macs"] = *run.channels.macs;
    if (!run.channels.widths.empty()) json["widths"] = run.channels.widths;
    if (run.channels.macs || !run.channels.widths.empty()) json["sparsity"] = nullptr;
    json["groups"] = Json::array();
    for (const PrunedGroup& g : run.groups)
      json["groups"].push_back({{"name", g.name}, {"before", g.channels}, {"after", g.kept}});
  }
  const int64_t before = summarize(run.original).params, after = summarize(run.graph).params;
  rows.push_back({"weights", std::to_string(before), std::to_string(after)});
  json["params_before"] = before;
  json["params_after"] = after;
}

}  // namespace pare::tool
