// The report of `pare prune`: accuracy, size and speed before and after.
#include <cstdio>

#include "autograd/graph_file.h"
#include "autograd/graph_summary.h"
#include "tools/compress_report.h"
#include "tools/prune.h"
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

}  // namespace

void report(PruneRun& run) {
  const PruneFlags& f = run.flags;
  const GraphSummary s = summarize(run.original), t = summarize(run.graph);
  const auto [l, m] = compare_latency(run.original, run.graph, 1);
  const auto [l64, m64] = compare_latency(run.original, run.graph, 64);
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
               {"latency_before_ms", l.p50_ms},
               {"latency_after_ms", m.p50_ms},
               {"latency_batch64_before_ms", l64.p50_ms},
               {"latency_batch64_after_ms", m64.p50_ms},
               {"file", run.out}};
  std::string control;
  if (run.control) {
    const auto& [epochs, result, path] = *run.control;
    json["control"] = {
        {"kind", f.control}, {"epochs", epochs}, {"accuracy", result.accuracy}, {"file", path}};
    control = fmt::format("\nfresh weights under the same masks, {} epochs: {}", epochs,
                          percent(result.accuracy));
  }
  const auto zeros = [](const GraphSummary& g) {
    return percent(1 - double(g.nonzero) / double(g.params));
  };
  print_result(run.common, json,
               before_after_table(
                   {{"test accuracy", percent(run.before.accuracy), percent(run.after.accuracy)},
                    {"nonzero weights", std::to_string(s.nonzero), std::to_string(t.nonzero)},
                    {"zeros in all weights", zeros(s), zeros(t)},
                    {"effective MACs", human_count(double(s.effective_macs)),
                     human_count(double(t.effective_macs))},
                    {"file", human_bytes(double(b)), human_bytes(double(c))},
                    {"latency, batch 1", milliseconds(l), milliseconds(m)},
                    {"latency, batch 64", milliseconds(l64), milliseconds(m64)}}) +
                   control + speed_report(run.graph, {{l, m}, {l64, m64}}) +
                   fmt::format("\nsaved {}", run.out));
}

}  // namespace pare::tool
