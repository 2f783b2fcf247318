// pare prune FILE: identify, mask, fine-tune, measure.
#include "compress/prune/prune.h"

#include <cmath>

#include "autograd/graph_file.h"
#include "autograd/graph_summary.h"
#include "compress/plan/plan.h"
#include "tools/compress_report.h"
#include "tools/training.h"

namespace pare::tool {
namespace {

struct PruneCommand {
  CommonOptions common;
  TrainingFlags flags;
  std::string file, method = "magnitude", structure = "unstructured", scope = "global",
                    when = "one-shot";
  double sparsity = 0.9;
  int rounds = 3;

  void run() {
    common.apply();
    const auto criterion = make_criterion(method, common.seed);
    PruneOptions how{.sparsity = sparsity, .scope = parse_prune_scope(scope)};
    how.structure = parse_structure(structure);
    known("--when", when, {"one-shot", "iterative"});
    check(rounds >= 1 && rounds <= 100, "--rounds {}, expected 1 to 100", rounds);
    if (when == "one-shot") rounds = 1;
    check(rounds == 1 || !how.structure.is_n_of_m(),
          "--when iterative raises the sparsity step by step; {} has one only", structure);
    Graph graph = open_model(file);
    Graph original = graph.clone();
    Dataset data = open_data(common, graph);
    data.preprocessing = preprocessing_of(graph, data);
    const std::string out = common.out.empty() ? stem(file) + "-pruned.pare" : common.out;
    const Evaluation before = evaluate(graph, data.test, data.preprocessing);
    const std::vector<Batch> sample =
        criterion->needs_data() ? batches_to_look_at(data) : std::vector<Batch>{};
    Evaluation pruned;
    for (int round = 1; round <= rounds; ++round) {
      // The kept share falls by the same factor each round (Han et al. 2015, Frankle and Carbin
      // 2019).
      how.sparsity = 1 - std::pow(1 - sparsity, double(round) / rounds);
      if (round == rounds) how.sparsity = sparsity;
      if (criterion->needs_data()) criterion->prepare(graph, sample);
      const auto layers = prune(graph, *criterion, how);
      pruned = evaluate(graph, data.test, data.preprocessing);
      describe(layers, before, pruned);
      if (round < rounds) fine_tune(graph, data, out);
    }

    add_history(graph, {{"did", "prune"},
                        {"method", method},
                        {"structure", structure},
                        {"scope", scope},
                        {"rounds", rounds},
                        {"sparsity", sparsity}});
    fine_tune(graph, data, out);
    save_graph(graph, out);
    const Evaluation after = evaluate(graph, data.test, data.preprocessing);
    report(original, graph, before, pruned, after, out);
  }

 private:
  static std::string stem(const std::string& path) {
    return path.ends_with(".pare") ? path.substr(0, path.size() - 5) : path;
  }
  // 512 training examples, the same for every seed.
  static std::vector<Batch> batches_to_look_at(const Dataset& data) {
    Loader loader(hold_out(data.train, 0.1).train, data.preprocessing,
                  {.batch = 64, .seed = 1, .augment = {}});
    std::vector<Batch> batches(8);
    size_t n = 0;
    while (n < batches.size() && loader.next(batches[n])) ++n;
    batches.resize(n);
    return batches;
  }
  void describe(const std::vector<PrunedLayer>& layers, const Evaluation& before,
                const Evaluation& pruned) const {
    int64_t kept = 0, all = 0;
    for (const PrunedLayer& l : layers) {
      kept += l.kept;
      all += l.elements;
    }
    note(common, "accuracy {} before, {} after pruning {} of the weights", percent(before.accuracy),
         percent(pruned.accuracy), percent(1 - double(kept) / double(all)));
    for (const PrunedLayer& l : layers)
      note(common, "  {:<24} {:>8} of {:>8} kept ({})", l.name, l.kept, l.elements,
           percent(double(l.kept) / double(l.elements)));
  }
  void fine_tune(Graph& graph, const Dataset& data, const std::string& out) const {
    TrainOptions options = fine_tune_recipe(graph.get_metadata("model"), data);
    apply_flags(flags, common, options);
    options.out = out;
    if (flags.epochs.value_or(1) == 0) return;
    Trainer trainer(graph, data, options);
    set_task_loss(trainer, options.task, graph);
    run_training(trainer);
  }
  static void known(const char* option, const std::string& value,
                    std::initializer_list<std::string_view> values) {
    check(std::find(values.begin(), values.end(), value) != values.end(), "{} '{}' is unknown{}",
          option, value, suggest(value, values.begin(), values.size()));
  }

  // What became of the speed, and the kernels behind it.
  static std::string speed_note(const Latency& before, const Latency& after, const Graph& graph) {
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
  void report(Graph& original, Graph& graph, const Evaluation& before, const Evaluation& pruned,
              const Evaluation& after, const std::string& out) {
    const GraphSummary s = summarize(original), t = summarize(graph);
    const auto [l, m] = compare_latency(original, graph, 1);
    const auto [l64, m64] = compare_latency(original, graph, 64);
    const int64_t b = file_bytes(file), c = file_bytes(out);
    const double achieved = 1 - double(t.nonzero) / double(t.params);
    print_result(common,
                 {{"method", method},
                  {"structure", structure},
                  {"sparsity", sparsity},
                  {"accuracy_before", before.accuracy},
                  {"accuracy_pruned", pruned.accuracy},
                  {"accuracy_after", after.accuracy},
                  {"macs_before", s.effective_macs},
                  {"macs_after", t.effective_macs},
                  {"file_bytes_before", b},
                  {"file_bytes_after", c},
                  {"latency_before_ms", l.p50_ms},
                  {"latency_after_ms", m.p50_ms},
                  {"latency_batch64_before_ms", l64.p50_ms},
                  {"latency_batch64_after_ms", m64.p50_ms},
                  {"file", out}},
                 before_after_table(
                     {{"test accuracy", percent(before.accuracy), percent(after.accuracy)},
                      {"nonzero weights", std::to_string(s.nonzero), std::to_string(t.nonzero)},
                      {"zeros in all weights", percent(1 - double(s.nonzero) / double(s.params)),
                       percent(achieved)},
                      {"effective MACs", human_count(double(s.effective_macs)),
                       human_count(double(t.effective_macs))},
                      {"file", human_bytes(double(b)), human_bytes(double(c))},
                      {"latency, batch 1", fmt::format("{:.3f} ms", l.p50_ms),
                       fmt::format("{:.3f} ms", m.p50_ms)},
                      {"latency, batch 64", fmt::format("{:.3f} ms", l64.p50_ms),
                       fmt::format("{:.3f} ms", m64.p50_ms)}}) +
                     speed_note(l64, m64, graph) + fmt::format("\nsaved {}", out));
  }
};

}  // namespace

void add_prune(CLI::App& app) {
  auto* command = app.add_subcommand("prune", "identify, eliminate, fine-tune");
  command->footer("Example: pare prune lenet5.pare --sparsity 0.9 --epochs 2 --out pruned.pare");
  auto o = std::make_shared<PruneCommand>();
  command->add_option("file", o->file, "model file")->required();
  command->add_option(
      "--method", o->method,
      "how weights are ranked: magnitude, magnitude-l2, taylor, snip, fisher, wanda, random");
  command->add_option(
      "--structure", o->structure,
      "what is removed: unstructured, blocks of rows x columns (4x1, 8x1, 1x4), N:M (2:4)");
  command->add_option("--sparsity", o->sparsity, "share of the weights to remove, 0..1");
  command->add_option("--scope", o->scope,
                      "rank within each layer (local), over all (global), or by extents (erk)");
  command->add_option("--when", o->when, "one-shot, or iterative: prune and fine-tune in rounds");
  command->add_option("--rounds", o->rounds, "rounds of iterative pruning");
  add_common(*command, o->common, with_data | with_out | with_seed | with_batch);
  add_training(*command, o->flags);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
