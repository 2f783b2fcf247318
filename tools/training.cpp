#include "tools/training.h"

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "compress/distill/distill.h"
#include "compress/prune/structured/norm_penalty.h"
#include "compress/quantize/quantize.h"
#include "core/backend.h"
#include "core/file_io.h"
#include "core/fingerprint.h"
#include "core/json.h"
#include "optim/interrupt.h"
#include "tools/summary.h"

namespace pare::tool {

std::vector<std::string> add_training(CLI::App& c, TrainingFlags& f) {
  const size_t first = c.get_options().size();
  c.add_option("--epochs", f.epochs, "passes over the training data");
  c.add_option("--optim", f.optimizer, "sgd, nesterov, adam or adamw");
  c.add_option("--lr", f.rate, "highest learning rate");
  c.add_option("--momentum", f.momentum, "momentum of sgd and nesterov");
  c.add_option("--weight-decay", f.weight_decay, "weight decay");
  c.add_option("--schedule", f.schedule, "constant, step, cosine or one-cycle");
  c.add_option("--warmup", f.warmup, "epochs in which the rate rises");
  c.add_option("--clip", f.clip, "largest norm of the gradient; 0: any");
  c.add_option(
      "--average", f.average,
      "decay of an average of the weights that is kept in their place, 0.999 say; 0: none");
  c.add_option("--augment", f.augment, "list of crop, shift, flip; or none");
  c.add_option("--holdout", f.holdout, "share of the training data kept for decisions");
  c.add_option("--precision", f.precision,
               "products of a training on a GPU: fp32, tf32 or bf16; weights and sums stay fp32");
  c.add_flag("--eager", f.eager,
             "on a GPU, queue the kernels of every step one by one instead of replaying them");
  auto* teacher = c.add_option("--teacher", f.teacher,
                               "model file whose soft targets the training follows too");
  c.add_option("--alpha", f.alpha, "weight of the true labels beside the teacher's, 0..1")
      ->needs(teacher);
  c.add_option("--temperature", f.temperature, "temperature of the soft targets, above 0")
      ->needs(teacher);
  c.add_option(
      "--norm-penalty", f.norm_penalty,
      "weight of the sum of |gamma| over batch norms in the loss, which shows the channels "
      "to prune (network slimming: 1e-5 to 1e-4)");
  std::vector<std::string> names;
  for (const CLI::Option* option : c.get_options()) names.push_back(option->get_name());
  names.erase(names.begin(), names.begin() + std::ptrdiff_t(first));
  return names;
}

void apply_flags(const TrainingFlags& f, const CommonOptions& common, Graph& graph,
                 TrainOptions& o) {
  const auto set = [](const auto& given, auto& value) {
    if (given) value = *given;
  };
  set(f.epochs, o.epochs);
  set(f.optimizer, o.optimizer.name);
  set(f.rate, o.optimizer.rate);
  set(f.momentum, o.optimizer.momentum);
  set(f.weight_decay, o.optimizer.weight_decay);
  set(f.clip, o.optimizer.clip);
  set(f.warmup, o.warmup);
  set(f.average, o.average);
  set(f.augment, o.augment);
  set(f.holdout, o.holdout);
  set(f.precision, o.precision);
  o.record = !f.eager;
  if (f.schedule) o.schedule = parse_schedule(*f.schedule);
  if (common.batch) o.batch = common.batch;
  o.seed = common.seed;
  o.quiet = common.quiet;
  o.task = task_of(f);
  graph.set_metadata("holdout", Json(o.holdout).dump());
}

void check_effects(const TrainingFlags& f, const CommonOptions& common, const TrainOptions& o,
                   const Dataset& data) {
  if (const std::string idle = idle_classes(data); !idle.empty() && o.epochs > 0)
    note(common, "note: {}", idle);
  if (o.optimizer.name.starts_with("adam"))
    common.refuse({"--momentum"}, message("{}, which has its own two", o.optimizer.name));
  check(!f.warmup || *f.warmup == 0 || *f.warmup < double(o.epochs) || o.epochs == 0,
        "--warmup {}: the training has {} epochs, so the rate would never reach its highest",
        *f.warmup, o.epochs);
  check(f.teacher.empty() || f.alpha < 1,
        "--alpha 1 follows the true labels alone: the teacher has no part in it");
  if (o.epochs == 0) {
    for (const char* option :
         {"--optim", "--lr", "--momentum", "--weight-decay", "--schedule", "--warmup", "--clip",
          "--average", "--augment", "--teacher", "--alpha", "--temperature", "--norm-penalty",
          "--precision", "--batch"})
      if (common.given(option))
        note(common, "note: {} has no part in --epochs 0, which trains nothing", option);
  }
  note_excess(common, "--batch", o.batch, data.train.size(), "training images");
}

namespace {

std::string quoted(const std::string& word) {
  constexpr std::string_view plain = "_./:=+,@%-";
  if (!word.empty() && std::all_of(word.begin(), word.end(), [&](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || plain.find(c) != plain.npos;
      }))
    return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

void keep_unfinished(const std::string& out) {
  const auto there = peek_progress(checkpoint_file(out));
  if (run_files().forced() || !there || there->epoch >= there->epochs) return;
  fail(
      ErrorCode::usage,
      "{} holds a run that was stopped in epoch {} of {} and would be lost; go on with it (pare {} "
      "--resume {}), name another --out, or give --force",
      checkpoint_file(out), there->epoch + 1, there->epochs,
      there->task.find("\"prune\"") == std::string::npos ? "train" : "prune",
      quoted(checkpoint_file(out)));
}

void declare_new_training(const std::string& out, const std::string& option) {
  declare_training(run_files(), out, option);
  keep_unfinished(out);
}

std::string training_output(const CommonOptions& options, const std::string& input,
                            const std::string& suffix, const std::string& teacher) {
  std::string out = output_name(options, input, suffix);
  run_files().may_replace(input, FileKind::model);
  run_files().reads(teacher, "the teacher");
  declare_new_training(out, "--out");
  return out;
}

void declare_resumed_training(const Checkpoint& checkpoint, const std::string& resume) {
  const std::string& out = checkpoint.options.out;
  check(
      !out.empty(),
      "{} does not end in .ckpt, and what it was written for lies elsewhere; rename it to OUT.ckpt",
      resume);
  run_files().may_replace(resume, FileKind::checkpoint);
  run_files().reads(teacher_of(checkpoint.options.task), "the teacher");
  declare_training(run_files(), out, "--out");
  if (real_path(checkpoint_file(out)) != real_path(resume)) keep_unfinished(out);
}

std::string resume_command(const CommonOptions& options, const std::string& command,
                           const std::string& out) {
  std::string text = "pare " + command + " --resume " + quoted(checkpoint_file(out));
  if (!options.data_dir.empty() && command != "prune")
    text += " --data-dir " + quoted(options.data_dir);
  if (!options.axes.empty()) text += " --axes " + options.axes;
  if (!options.pixel_range.empty())
    text += fmt::format(" --pixel-range {}", fmt::join(options.pixel_range, " "));
  for (const std::string& plugin : options.plugins) text += " --plugin " + quoted(plugin);
  if (options.device != "auto") text += " --device " + options.device;
  return text;
}

void check_precision(const TrainingFlags& f, Device device) {
  check(!f.eager || device != Device{},
        "--eager has no part in a training on the CPU; leave it out, or name a --device");
  if (!f.precision || precision_named(*f.precision) == Precision::fp32) return;
  const DeviceProperties& properties = backend_of(device).properties;
  const int capability = properties.capability;
  check(
      capability >= 80,
      "--precision {} needs a GPU of compute capability 8.0 or above, {} {}; leave it out, or name "
      "another --device",
      *f.precision, device,
      capability ? message(capability < properties.gpu_capability ? "has kernels for {}.{} alone"
                                                                  : "has {}.{}",
                           capability / 10, capability % 10)
                 : "computes in fp32");
}

std::string task_of(const TrainingFlags& f) {
  check(f.alpha >= 0 && f.alpha <= 1, "--alpha {}, expected 0..1", f.alpha);
  check(f.temperature > 0 && f.temperature <= 1e6,
        "--temperature {}, expected above 0 and at most 1e6", f.temperature);
  check(f.norm_penalty >= 0, "--norm-penalty {}, expected at least 0", f.norm_penalty);
  Json task = Json::object();
  if (!f.teacher.empty())
    task = {{"teacher", f.teacher}, {"alpha", f.alpha}, {"temperature", f.temperature}};
  if (f.norm_penalty > 0) task["norm_penalty"] = f.norm_penalty;
  return task.empty() ? std::string() : to_text(task);
}

void set_task_loss(Trainer& trainer, const std::string& task, const Graph& graph) {
  if (task.empty()) return;
  const auto j = parse_json(task, "the checkpoint's task");
  const auto number = [&](const char* key) {
    check(j.contains(key) && j[key].is_number(), ErrorCode::bad_input,
          "the checkpoint's task is damaged: no number '{}'", key);
    return j[key].get<double>();
  };
  check(j.is_object(), ErrorCode::bad_input, "the checkpoint's task is damaged");
  LossFn loss = [](const Tensor& logits, const Batch& batch) {
    return softmax_cross_entropy(logits, batch.labels.to(logits.device()));
  };
  if (const std::string file = teacher_of(task); !file.empty()) {
    Graph teacher = open_model(file);
    to_device(teacher, trainer.device());
    trainer.relies_on("teacher", fingerprint_file(file));
    loss = distillation_loss(teacher, graph,
                             {.alpha = number("alpha"), .temperature = number("temperature")});
  }
  if (j.contains("norm_penalty"))
    loss = with_norm_penalty(std::move(loss), graph, number("norm_penalty"));
  trainer.set_loss(std::move(loss), true);
}

std::string teacher_of(const std::string& task) {
  if (task.empty()) return {};
  const auto j = parse_json(task, "the checkpoint's task");
  check(j.is_object() && (!j.contains("teacher") || j["teacher"].is_string()), ErrorCode::bad_input,
        "the checkpoint's task is damaged");
  return j.contains("teacher") ? j["teacher"].get<std::string>() : std::string();
}

Start start_from(const std::string& model, const CommonOptions& common) {
  Start s;
  s.is_file = names_file(model);
  if (s.is_file) {
    s.graph = open_model(model);
    check_float(s.graph, model);
    s.data = open_data(common, s.graph, true);
    return s;
  }
  check_model_name(model);
  const std::string data = common.data.empty() ? default_data(model) : common.data;
  common.check_data_dir(data);
  s.data = load_dataset(data, dataset_options(common));
  s.graph = new_model(model, s.data, common.seed);
  describe_model(s.graph, model, s.data);
  return s;
}

TrainReport run_training(Trainer& trainer, const std::string& then) {
  const InterruptScope scope;
  TrainReport report = trainer.run();
  if (report.interrupted)
    fail(ErrorCode::interrupted, "interrupted by a signal; {}",
         trainer.saves() ? "the checkpoint is saved; go on with: " + then : then);
  return report;
}

namespace {

Json to_json(const std::vector<EpochRecord>& epochs) {
  Json list = Json::array();
  for (const EpochRecord& e : epochs)
    list.push_back({{"epoch", e.epoch},
                    {"loss", e.loss},
                    {"accuracy", e.accuracy},
                    {"val_loss", e.val_loss},
                    {"val_accuracy", e.val_accuracy},
                    {"seconds", e.seconds}});
  return list;
}

}  // namespace

Json facts_of_training(Graph& graph, const Dataset& data, const TrainReport& report,
                       const RecordedStep& step, const Evaluation& test, const std::string& file) {
  return {{"model", graph.get_metadata("model")},
          {"data", data.name},
          {"params", parameter_count(graph)},
          {"epochs", to_json(report.epochs)},
          {"best_accuracy", report.best_accuracy},
          {"test_accuracy", test.accuracy},
          {"test_loss", test.loss},
          {"file", file},
          {"replays", step.replays()},
          {"not_recorded", step.refusal().empty() ? Json() : Json(step.refusal())}};
}

}  // namespace pare::tool
