// pare train MODEL|FILE, pare train --resume OUT.ckpt
#include <filesystem>

#include "autograd/graph_file.h"
#include "autograd/graph_summary.h"
#include "core/cpu/isa.h"
#include "core/device.h"
#include "core/json.h"
#include "core/thread_pool.h"
#include "layers/zoo.h"
#include "optim/history.h"
#include "tools/summary.h"
#include "tools/training.h"
#include "tools/usage.h"

namespace pare::tool {
namespace {

// The task that a checkpoint carries, with the number of images that a run is limited to; and the
// data of such a run.
std::string with_images(const std::string& task, int64_t images) {
  Json j = task.empty() ? Json::object() : parse_json(task, "the task");
  j["images"] = images;
  return to_text(j);
}
Dataset first_images(Dataset data, const std::string& task) {
  if (task.empty()) return data;
  const auto j = parse_json(task, "the checkpoint's task");
  if (!j.is_object() || !j.contains("images")) return data;
  check(j["images"].is_number_integer() && j["images"].get<int64_t>() > 0, ErrorCode::bad_input,
        "the checkpoint's task is damaged");
  for (Examples* part : {&data.train, &data.test}) {
    const int64_t n = std::min(part->size(), j["images"].get<int64_t>());
    *part = {part->images.rows(0, n), part->labels.rows(0, n)};
  }
  return data;
}

struct TrainCommand {
  CommonOptions common;
  TrainingFlags flags;
  std::string model, resume;
  int64_t images = 0;  // 0: all

  void run() {
    common.apply();
    check(model.empty() || resume.empty(),
          "--resume goes on with the network of {}; '{}' has no part in that, leave it out", resume,
          model);
    check(!model.empty() || !resume.empty(),
          "name a model or a file to train, or --resume a checkpoint");
    if (resume.empty())
      start();
    else
      go_on();
  }

  void start() {
    Start begun = start_from(model, common);
    Graph graph = std::move(begun.graph);
    if (!begun.is_file && !flags.teacher.empty())
      adopt_class_names(graph, open_model(flags.teacher));
    const std::string name = graph.get_metadata("model");
    TrainOptions options = default_recipe(name, begun.data);
    apply_flags(flags, common, graph, options);
    options.out = training_output(common, model, begun.is_file ? "-trained" : "", flags.teacher);
    if (options.epochs == 0 && (!begun.is_file || origin_of(graph) == Origin::initial))
      keep_trained(options.out);
    if (images > 0) options.task = with_images(options.task, images);
    note_excess(common, "--images", images, begun.data.train.size(), "training images");
    const Dataset data = first_images(std::move(begun.data), options.task);
    check_effects(flags, common, options, data);
    if (begun.is_file && options.epochs == 0 && common.given("--seed"))
      note(common, "note: --seed has no part in --epochs 0 of a file, whose weights stay");
    const Device device = common.device_for(graph, Use::training);
    check_precision(flags, device);
    to_device(graph, device);
    if (options.epochs == 0) return save_untrained(graph, data, options);
    Trainer trainer(graph, data, options);
    set_task_loss(trainer, options.task, graph);
    announce(graph, data, options);
    finish(trainer, graph, data, options);
  }

  void go_on() {
    Checkpoint checkpoint = load_checkpoint(resume);
    checkpoint.options.quiet = common.quiet;
    check(checkpoint.options.task.find("\"prune\"") == std::string::npos,
          "{} belongs to a pruning; go on with pare prune --resume", resume);
    if (!common.out.empty()) checkpoint.options.out = common.out;
    declare_resumed_training(checkpoint, resume);
    if (flags.epochs) lengthen(checkpoint);
    const Device device = common.device_for(checkpoint.graph, Use::training);
    to_device(checkpoint.graph, device);
    if (checkpoint.machine != machine_of(device))
      note(
          common,
          "note: the checkpoint was written with {} kernels, this run uses {}: results will differ "
          "in the last bits",
          checkpoint.machine, machine_of(device));
    const Dataset data = first_images(open_data(common, checkpoint.graph), checkpoint.options.task);
    const bool unknown = checkpoint.fingerprints.empty();
    Trainer trainer(checkpoint, data);
    set_task_loss(trainer, checkpoint.options.task, checkpoint.graph);
    if (unknown)
      note(
          common,
          "note: {} does not say what it learned from (an older pare wrote it): nobody checks that "
          "the data are the same",
          resume);
    if (checkpoint.finished())
      note(common, "{} is finished: it has its {} epochs; --epochs N, with more, adds to them",
           resume, checkpoint.options.epochs);
    else
      note(common, "resuming {} at epoch {} of {}", resume, checkpoint.state.epoch + 1,
           checkpoint.options.epochs);
    finish(trainer, checkpoint.graph, data, checkpoint.options);
  }

  // What --epochs means to a run that is resumed.
  void lengthen(Checkpoint& checkpoint) {
    const int64_t before = checkpoint.options.epochs, epochs = *flags.epochs;
    if (epochs == before && !checkpoint.finished()) return;
    extend(checkpoint, epochs);
    note(common,
         "note: the {} finished epochs get {} more, with a schedule of their own: this is not the "
         "run of {} epochs",
         before, epochs - before, epochs);
  }

  // The network as it is before its first step.
  void save_untrained(Graph& graph, const Dataset& data, const TrainOptions& options) const {
    evaluate(graph, data.test, data.preprocessing);  // answers, or is not saved
    save_graph(graph, options.out);
    print(graph, data, {}, {}, options);
  }

  void announce(Graph& graph, const Dataset& data, const TrainOptions& o) const {
    if (common.quiet) return;
    note(common, "{}", layer_table(graph));
    note(common,
         "{} on {} ({} images, a share of {} held out), {} epochs, batch {}, {} at rate {}, {}",
         graph.get_metadata("model"), data.name, data.train.size(), o.holdout, o.epochs, o.batch,
         o.optimizer.name, o.optimizer.rate, to_string(o.schedule));
    const Device device = device_of(graph);
    note(common, "device {}; writes {}, {}.ckpt and {}.csv",
         device == Device{}
             ? fmt::format("cpu ({}), {} threads", machine_of(device), threads())
             : to_string(device) + " (" + probe_device(device.type).description + ")",
         o.out, o.out, o.out);
  }

  void finish(Trainer& trainer, Graph& graph, const Dataset& data, const TrainOptions& options) {
    const TrainReport report = run_training(trainer, resume_command(common, "train", options.out));
    print(graph, data, report, trainer.recorded(), options, ErrorCode::diverged);
  }

  // `not_finite`: the code where the saved network's answers are not finite.
  void print(Graph& graph, const Dataset& data, const TrainReport& report,
             const RecordedStep& recorded, const TrainOptions& options,
             ErrorCode not_finite = ErrorCode::bad_input) const {
    const Evaluation test = evaluate(graph, data.test, data.preprocessing, 250, not_finite);
    print_result(common, facts_of_training(graph, data, report, recorded, test, options.out),
                 fmt::format("test accuracy {} (loss {:.4f}) after epoch {}; saved {} ({})",
                             percent(test.accuracy), test.loss, report.best_epoch, options.out,
                             human_bytes(double(file_bytes(options.out)))));
  }
};

}  // namespace

bool names_file(const std::string& model) {
  if (file_bytes(model) > 0 || model.find(".pare") != std::string::npos ||
      model.find('/') != std::string::npos)
    return true;
  const auto names = model_names();
  std::error_code none;
  return std::find(names.begin(), names.end(), model) == names.end() &&
         std::filesystem::exists(model, none);
}

void check_model_name(const std::string& model, const char* it_is) {
  const auto names = model_names();
  check(std::find(names.begin(), names.end(), model) != names.end(), "'{}' is {}{}", model, it_is,
        suggest(model, names.data(), names.size()));
}

std::string default_data(const std::string& model) {
  return model.starts_with("resnet") || model == "cifar-cnn" ? "cifar10" : "digits";
}

Graph new_model(const std::string& model, const Dataset& data, uint64_t seed) {
  const Shape image = data.train.shape();
  const auto net =
      make_model(model, {image[0], image[1], image[2]}, int64_t(data.classes.size()), seed);
  Graph graph = capture(*net, Tensor::zeros({1, image[0], image[1], image[2]}));
  record_initialization(graph, seed);
  return graph;
}

void add_train(CLI::App& app) {
  auto* command = app.add_subcommand("train", "train a named model or a saved one");
  command->footer("Example: pare train lenet5 --data mnist --epochs 5 --out lenet5.pare");
  auto o = std::make_shared<TrainCommand>();
  command->add_option("model", o->model,
                      "mlp, lenet5, lenet5-classic, cifar-cnn, resnet20, ... or a file");
  auto* resume =
      command->add_option("--resume", o->resume, "checkpoint (OUT.ckpt) of an interrupted run");
  add_common(*command, o->common, with_data | with_out | with_seed | with_batch | with_device);
  const size_t common = command->get_options().size();
  command->add_option("--images", o->images, "train and test on the first so many images alone")
      ->check(between(1, INT64_MAX));
  add_training(*command, o->flags);
  // A resumed run is the run it was: its options stand in the checkpoint.
  const auto options = command->get_options();
  for (size_t i = common; i < options.size(); ++i)
    if (options[i]->get_name() != "--epochs") resume->excludes(options[i]);
  for (const char* name : {"--seed", "--batch"}) resume->excludes(name);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
