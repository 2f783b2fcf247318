// The report of `pare prune`: accuracy, size and speed before and after.
#include <cstdio>

#include "autograd/graph_file.h"
#include "autograd/graph_summary.h"
#include "compress/plan/plan.h"
#include "tools/compress_report.h"
#include "tools/prune.h"

namespace pare::tool {
namespace {

// What became of the speed, and the kernels behind it.
std::string speed_note(const Latency& before, const Latency& after, const Graph& graph) {
  const double ratio = before.p50_ms / after.p50_ms;
  const auto batch = before.batch;
  return fmt::format("\n{}\n{}",
                     ratio > 1.05
                         ? fmt::format("{:.2f}x as fast at batch {}.", ratio, batch)
                         : fmt::format("Not faster at batch {}: where a kernel below is dense, a "
                                       "measurement found no sparse one faster.",
                                       batch),
                     compile(graph).describe());
}

std::string milliseconds(const Latency& l) { return fmt::format("{:.3f} ms", l.p50_ms); }

// Of the file, or of what it would be where the network came by its name.
int64_t bytes_before(const PruneRun& run) {
  if (const int64_t bytes = file_bytes(run.flags.model); bytes > 0) return bytes;
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
    const auto& c = *run.control;
    json["control"] = {{"kind", f.control},
                       {"epochs", c.epochs},
                       {"accuracy", c.result.accuracy},
                       {"file", c.file}};
    control = fmt::format("\nfresh weights under the same masks, {} epochs: {}", c.epochs,
                          percent(c.result.accuracy));
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
                   control + speed_note(l64, m64, run.graph) + fmt::format("\nsaved {}", run.out));
}

}  // namespace pare::tool
