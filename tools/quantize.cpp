// pare quantize FILE: calibrate or train, then lower to integers.
#include "compress/quantize/quantize.h"
#include "autograd/graph_file.h"
#include "core/json.h"
#include "datasets/loader.h"
#include "optim/history.h"
#include "tools/compress_report.h"
#include "tools/training.h"
#include "tools/usage.h"

namespace pare::tool {
namespace {

struct QuantizeCommand {
  CommonOptions common;
  TrainingFlags flags;
  std::string file, method = "ptq", observer = "minmax";
  std::vector<std::string> of_training;  // options
  int bits = 8, activation_bits = 8;
  int64_t images = 1000;
  Device device;

  void run() {
    common.apply();
    static constexpr std::string_view methods[] = {"ptq", "qat"};
    check(std::find(std::begin(methods), std::end(methods), method) != std::end(methods),
          "--method '{}' is unknown{}", method, suggest(method, methods, std::size(methods)));
    static constexpr std::string_view observers[] = {"minmax"};
    check(observer == observers[0], "--observer '{}' is unknown{}", observer,
          suggest(observer, observers, 1));
    check(bits == 8 && activation_bits == 8,
          "--bits {} --activation-bits {}: 8 and 8 are supported", bits, activation_bits);
    if (method == "ptq") common.refuse(of_training, "--method ptq, which trains nothing");
    Graph graph = open_model(file);
    check_float(graph, file);
    const Dataset data = open_data(common, graph);
    note_excess(common, "--images", images, data.train.size(), "training images");
    if (method == "ptq" && common.given("--seed") && images >= data.train.size())
      note(common, "note: --seed has no part in a calibration on all of the training part");
    device = common.device_for(graph, Use::training);
    check_precision(flags, device);
    Graph original = graph.clone();
    to_device(original, device);
    to_device(graph, device);
    const std::string out = output_name(common, file, "-int8");
    run_files().may_replace(file, FileKind::model);
    run_files().reads(flags.teacher, "the teacher");
    run_files().writes(out, "--out", FileKind::model);
    keep_unfinished(out);
    if (method == "ptq" && origin_of(graph) == Origin::initial) keep_trained(out);
    const Evaluation before = evaluate(graph, data.test, data.preprocessing);
    const QuantizeReport done = quantize(graph, calibrate(graph, calibration_batches(data)));
    to_device(graph, device);  // the ranges too
    for (const std::string& name : done.left_float)
      note(common, "note: '{}' has no integer form yet and stays in floats", name);
    if (method == "qat") train(graph, data);
    add_history(graph, to_text({{"did", "quantize"},
                                {"method", method},
                                {"weight_bits", bits},
                                {"activation_bits", activation_bits},
                                {"observer", observer}}));
    Graph integers = lower(graph);
    save_graph(integers, out);
    to_device(integers, device);
    report(original, graph, integers, data, before, out);
  }

 private:
  std::vector<Tensor> calibration_batches(const Dataset& data) const {
    const Split split = hold_out(data.train, data.holdout);
    Loader loader(split.train, data.preprocessing,
                  {.batch = 250, .shuffle = true, .seed = common.seed, .augment = {}});
    std::vector<Tensor> batches;
    Batch b;
    loader.start_epoch(0);
    for (int64_t seen = 0; seen < images && loader.next(b); seen += b.labels.size(0))
      batches.push_back(
          b.images.rows(0, std::min(images - seen, b.labels.size(0))).clone().to(device));
    return batches;
  }

  // Ranges go on learning for the first half of the steps and are frozen for the rest.
  void train(Graph& graph, const Dataset& data) {
    TrainOptions options = fine_tune_recipe(graph.get_metadata("model"), data);
    apply_flags(flags, common, graph, options);
    options.out = {};
    check_effects(flags, common, options, data);
    Trainer trainer(graph, data, options);
    set_task_loss(trainer, options.task, graph);
    trainer.on_step([&](int64_t step, int64_t steps) {
      if (step == 0 || step == steps / 2) observe_ranges(graph, step == 0);
    });
    run_training(trainer, "nothing was written, and training while quantizing cannot be resumed");
  }

  void report(Graph& original, Graph& fake, Graph& integers, const Dataset& data,
              const Evaluation& before, const std::string& out) {
    const Evaluation fake_quant = evaluate(fake, data.test, data.preprocessing);
    const Evaluation after = evaluate(integers, data.test, data.preprocessing);
    const double agreement = agreement_of(original, integers, data);
    const bool equal = same_logits(fake, integers, data);
    check(
        equal, ErrorCode::bad_input,
        "the integer model does not give the logits of the fake-quantized one; please report this");
    to_device(original, Device{});  // latencies are those of the CPU
    to_device(integers, Device{});
    const LatencyPair latency =
        compare_latency(compile(original), compile(integers), random_images(original, 1));
    const auto& [l, m, disturbed] = latency;
    const int64_t b = file_bytes(file), c = file_bytes(out);
    print_result(
        common,
        {{"method", method},
         {"weight_bits", bits},
         {"activation_bits", activation_bits},
         {"accuracy_before", before.accuracy},
         {"accuracy_fake_quant", fake_quant.accuracy},
         {"accuracy_after", after.accuracy},
         {"top1_agreement", agreement},
         {"logits_equal", equal},
         {"file_bytes_before", b},
         {"file_bytes_after", c},
         {"latency_before_ms", l.p50_ms},
         {"latency_after_ms", m.p50_ms},
         {"latency_disturbed", disturbed},
         {"file", out}},
        before_after_table({{"test accuracy", percent(before.accuracy), percent(after.accuracy)},
                            {"same answer as before", "", percent(agreement)},
                            {"file", human_bytes(double(b)), human_bytes(double(c))},
                            {"latency, batch 1", fmt::format("{:.3f} ms", l.p50_ms),
                             fmt::format("{:.3f} ms", m.p50_ms)}}) +
            disturbance(disturbed) +
            fmt::format("\nThe integer logits of all {} test images equal the "
                        "fake-quantized ones bit for bit.\nsaved {}",
                        after.examples, out));
  }

  template <class F>
  void over_test(const Dataset& data, F&& f) const {
    Loader loader(data.test.to(device), data.preprocessing,
                  {.batch = 250, .shuffle = false, .augment = {}});
    Batch b;
    loader.start_epoch(0);
    while (loader.next(b)) f(b);
  }
  bool same_logits(Graph& a, Graph& b, const Dataset& data) const {
    bool same = true;
    over_test(data, [&](const Batch& batch) {
      same = same && a(batch.images).to_vector<float>() == b(batch.images).to_vector<float>();
    });
    return same;
  }
  double agreement_of(Graph& a, Graph& b, const Dataset& data) const {
    int64_t same = 0;
    over_test(data, [&](const Batch& batch) {
      const Tensor x = a(batch.images).to(Device{}), y = b(batch.images).to(Device{});
      const int64_t classes = x.size(1);
      for (int64_t i = 0; i < x.size(0); ++i) {
        const float *p = x.data<float>() + i * classes, *q = y.data<float>() + i * classes;
        same += std::max_element(p, p + classes) - p == std::max_element(q, q + classes) - q;
      }
    });
    return double(same) / double(data.test.size());
  }
};

}  // namespace

void add_quantize(CLI::App& app) {
  auto* command = app.add_subcommand("quantize", "calibrate or train, then lower to integers");
  command->footer("Example: pare quantize mlp.pare --method ptq --out mlp-int8.pare");
  auto o = std::make_shared<QuantizeCommand>();
  command->add_option("file", o->file, "model file")->required();
  command->add_option("--method", o->method, "ptq (calibrate) or qat (train)");
  command->add_option("--bits", o->bits, "bits of a weight: 8")->check(between(1, 32));
  command->add_option("--activation-bits", o->activation_bits, "bits of an activation: 8")
      ->check(between(1, 32));
  command->add_option("--observer", o->observer, "how ranges are found: minmax");
  command->add_option("--images", o->images, "training images to calibrate with")
      ->check(between(1, INT64_MAX));
  add_common(*command, o->common, with_data | with_out | with_seed | with_batch | with_device);
  o->of_training = add_training(*command, o->flags);
  o->of_training.push_back("--batch");
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
