// The report of `pare prune`: accuracy, size and speed before and after.
#include <algorithm>

#include "autograd/graph_summary.h"
#include "core/thread_pool.h"
#include "tools/prune_channels.h"
#include "tools/prune_speed.h"

namespace pare::tool {
namespace {

std::string milliseconds(const Latency& l) { return fmt::format("{:.3f} ms", l.p50_ms); }

void add_zeros(const GraphSummary& s, const GraphSummary& t, std::vector<BeforeAfter>& rows) {
  const auto zeros = [](const GraphSummary& g) {
    return percent(1 - double(g.nonzero) / double(g.params));
  };
  rows.push_back({"nonzero weights", std::to_string(s.nonzero), std::to_string(t.nonzero)});
  rows.push_back({"zeros in all weights", zeros(s), zeros(t)});
}

bool disturbed(const SpeedTrial& speed) {
  return std::any_of(speed.latency.begin(), speed.latency.end(),
                     [](const LatencyPair& p) { return p.disturbed; });
}

// The masks of a network that was pruned while it trained: nothing has told them yet.
void tell_masks(const PruneRun& run, const SpeedTrial& speed) {
  if (run.flags.when != "gradual" && run.flags.when != "dynamic") return;
  note(run.common, "after the training {} of the weights are gone",
       percent(sparsity_of(run.graph)));
  for (const LayerSpeed& l : speed.layers)
    if (l.weights > 0)
      note(run.common, "  {:<24} {:>8} of {:>8} kept ({})", l.node, l.nonzero, l.weights,
           percent(double(l.nonzero) / double(l.weights)));
}

}  // namespace

void report(PruneRun& run) {
  const PruneFlags& f = run.flags;
  const bool structured = is_structured(f.structure);
  const GraphSummary s = summarize(run.original), t = summarize(run.graph);
  const SpeedTrial speed = measure_speed(run.original, s, run.graph, t);
  tell_masks(run, speed);
  const int64_t b = run.bytes_before, c = file_bytes(run.out);
  Json json = {{"method", f.method},
               {"structure", f.structure},
               {"sparsity", f.sparsity},
               {"when", f.when},
               {"accuracy_before", run.before.accuracy},
               {"accuracy_pruned", run.pruned.accuracy},
               {"accuracy_after", run.after.accuracy},
               {"macs_before", s.effective_macs},
               {"macs_after", t.effective_macs},
               {"file_bytes_before", b},
               {"file_bytes_after", c},
               {"latency_before_ms", speed.latency[0].before.p50_ms},
               {"latency_after_ms", speed.latency[0].after.p50_ms},
               {"latency_batch64_before_ms", speed.latency[1].before.p50_ms},
               {"latency_batch64_after_ms", speed.latency[1].after.p50_ms},
               {"file", run.out},
               {"nonzero_before", s.nonzero},
               {"nonzero_after", t.nonzero},
               {"threads", threads()},
               {"latency_disturbed", disturbed(speed)},
               {"layers", layers_json(speed)}};
  std::vector<BeforeAfter> rows = {
      {"test accuracy", percent(run.before.accuracy), percent(run.after.accuracy)}};
  if (structured) {
    add_structured_facts(run, json, rows);
  } else {
    add_zeros(s, t, rows);
    json["sparsity_achieved"] = sparsity_of(run.graph);
  }
  rows.push_back({"effective MACs", human_count(double(s.effective_macs)),
                  human_count(double(t.effective_macs))});
  rows.push_back({"file", human_bytes(double(b)), human_bytes(double(c))});
  for (const auto& [before, after, noise] : speed.latency)
    rows.push_back({fmt::format("latency, batch {}", before.batch), milliseconds(before),
                    milliseconds(after)});
  std::string control;
  if (run.control) {
    const auto& [epochs, optimizer, result, path] = *run.control;
    json["control"] = {{"kind", f.control},           {"epochs", epochs},
                       {"optimizer", optimizer.name}, {"rate", optimizer.rate},
                       {"accuracy", result.accuracy}, {"file", path}};
    control = fmt::format("\nfresh weights {}, {} epochs, {} at rate {}: {}",
                          structured ? "of the same shapes" : "under the same masks", epochs,
                          optimizer.name, optimizer.rate, percent(result.accuracy));
  }
  print_result(run.common, json,
               before_after_table(rows) + control + speed_report(speed) +
                   fmt::format("\nsaved {}", run.out));
}

}  // namespace pare::tool
