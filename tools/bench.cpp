// pare bench FILE
#include "autograd/blame.h"
#include "core/storage.h"
#include "core/thread_pool.h"
#include "optim/progress.h"
#include "tools/command.h"
#include "tools/latency.h"

namespace pare::tool {
namespace {

struct BenchCommand {
  CommonOptions common;
  std::string file, plan = "quickest";
  bool describe = false;

  void run() {
    common.apply();
    Graph graph = open_model(file);
    check_parameters(graph);
    const Plan compiled = compile(graph, options());
    Tensor answer;
    const Tensor image = random_images(graph, 1);
    compiled.run(image, answer);
    check_answer(graph, image, answer);
    std::vector<int64_t> batches{1, 64};
    if (common.batch) batches = {common.batch};
    Json results = Json::array();
    std::string text =
        fmt::format("{:>6} {:>10} {:>10} {:>12}\n", "batch", "p50 ms", "p95 ms", "images/s");
    reset_peak();
    for (const int64_t batch : batches) {
      const Latency l = measure_latency(compiled, random_images(graph, batch), 2.0);
      results.push_back({{"batch", batch},
                         {"p50_ms", l.p50_ms},
                         {"p95_ms", l.p95_ms},
                         {"images_per_s", l.images_per_s}});
      text += fmt::format("{:>6} {:>10.4f} {:>10.4f} {:>12}\n", batch, l.p50_ms, l.p95_ms,
                          rate_text(l.images_per_s));
    }
    const auto peak = int64_t(pool_statistics().peak_bytes);
    const int64_t bytes = file_bytes(file);
    Json json = {{"device", "cpu"},    {"threads", threads()},      {"plan", plan},
                 {"results", results}, {"peak_memory_bytes", peak}, {"file_bytes", bytes}};
    text += fmt::format("cpu, {} threads; peak memory {}, file {}", threads(),
                        human_bytes(double(peak)), human_bytes(double(bytes)));
    if (describe) {
      const std::string account = compiled.describe();
      json["describe"] = account;
      text += "\n\n" + account.substr(0, account.size() - account.ends_with('\n'));
    }
    print_result(common, json, text);
  }

 private:
  PlanOptions options() const {
    static constexpr std::string_view plans[] = {"quickest", "dense", "direct"};
    check(std::find(std::begin(plans), std::end(plans), plan) != std::end(plans),
          "--plan '{}' is unknown{}", plan, suggest(plan, plans, std::size(plans)));
    return {.sparse = plan == "quickest", .winograd = plan != "direct"};
  }
};

}  // namespace

void add_bench(CLI::App& app) {
  auto* command = app.add_subcommand("bench", "latency and throughput of a saved model");
  command->footer("Example: pare bench lenet5.pare --threads 1");
  auto o = std::make_shared<BenchCommand>();
  command->add_option("file", o->file, "model file")->required();
  command->add_option("--plan", o->plan,
                      "quickest: what inference runs; yardsticks for it are dense, without sparse "
                      "kernels, and direct, without Winograd's form too");
  command->add_flag("--describe", o->describe,
                    "the kernel of every layer, and what was measured to choose it");
  add_common(*command, o->common, with_batch);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
