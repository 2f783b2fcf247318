// The report of `pare prune`: accuracy, size and speed before and after.
#include <algorithm>
#include <cstdio>

#include "autograd/graph_file.h"
#include "autograd/graph_summary.h"
#include "tools/prune_channels.h"
#include "tools/prune_speed.h"

namespace pare::tool {
namespace {

std::string milliseconds(const Latency& l) { return fmt::format("{:.3f} ms", l.p50_ms); }

// Of the file, or of what it would be where the network came by its name.
int64_t bytes_before(const PruneRun& run) {
  if (const int64_t bytes = file_bytes(run.flags.file); bytes > 0) return bytes;
  const std::string path = run.out + ".before";
  save_graph(run.original, path);
  const int64_t bytes = file_bytes(path);
  std::remove(path.c_str());
  return bytes;
}

void add_zeros(const GraphSummary& s, const GraphSummary& t, std::vector<BeforeAfter>& rows) {
  const auto zeros = [](const GraphSummary& g) {
    return percent(1 - double(g.nonzero) / double(g.params));
  };
  rows.push_back({"nonzero weights", std::to_string(s.nonzero), std::to_string(t.nonzero)});
  rows.push_back({"zeros in all weights", zeros(s), zeros(t)});
}

}  // namespace

void report(PruneRun& run) {
  const PruneFlags& f = run.flags;
  const bool structured = is_structured(f.structure);
  const GraphSummary s = summarize(run.original), t = summarize(run.graph);
  const MeasuredLatency measured = {compare_latency(run.original, run.graph, 1),
                                    compare_latency(run.original, run.graph, 64)};
  const int64_t b = bytes_before(run), c = file_bytes(run.out);
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
               {"latency_before_ms", measured[0].first.p50_ms},
               {"latency_after_ms", measured[0].second.p50_ms},
               {"latency_batch64_before_ms", measured[1].first.p50_ms},
               {"latency_batch64_after_ms", measured[1].second.p50_ms},
               {"file", run.out}};
  std::vector<BeforeAfter> rows = {
      {"test accuracy", percent(run.before.accuracy), percent(run.after.accuracy)}};
  if (structured)
    add_structured_facts(run, json, rows);
  else
    add_zeros(s, t, rows);
  rows.push_back({"effective MACs", human_count(double(s.effective_macs)),
                  human_count(double(t.effective_macs))});
  rows.push_back({"file", human_bytes(double(b)), human_bytes(double(c))});
  for (const auto& [before, after] : measured)
    rows.push_back({fmt::format("latency, batch {}", before.batch), milliseconds(before),
                    milliseconds(after)});
  std::string control;
  if (run.control) {
    const auto& [epochs, result, path] = *run.control;
    json["control"] = {
        {"kind", f.control}, {"epochs", epochs}, {"accuracy", result.accuracy}, {"file", path}};
    control = fmt::format("\nfresh weights {}, {} epochs: {}",
                          structured ? "of the same shapes" : "under the same masks", epochs,
                          percent(result.accuracy));
  }
  const double fewer = double(s.effective_macs) / double(std::max<int64_t>(1, t.effective_macs));
  print_result(
      run.common, json,
      before_after_table(rows) + control +
          (structured ? structured_speed(fewer, measured) : speed_report(run.graph, measured)) +
          fmt::format("\nsaved {}", run.out));
}

}  // namespace pare::tool
