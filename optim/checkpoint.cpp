// The checkpoint file: the graph with its optimizer slots, the best graph, and the run's state as
// JSON. Doubles are written so that they read back exactly.
#include <filesystem>
#include <limits>

#include "autograd/graph_file.h"
#include "core/cpu/isa.h"
#include "core/file_io.h"
#include "core/json.h"
#include "optim/history.h"
#include "optim/trainer.h"

namespace pare {
namespace {

constexpr const char* key = "checkpoint";
constexpr const char* best_prefix = "best/";

template <class F>
void each_field(TrainOptions& o, F&& f) {
  f("epochs", o.epochs);
  f("batch", o.batch);
  f("optimizer", o.optimizer.name);
  f("rate", o.optimizer.rate);
  f("momentum", o.optimizer.momentum);
  f("weight_decay", o.optimizer.weight_decay);
  f("clip", o.optimizer.clip);
  f("warmup", o.warmup);
  f("average", o.average);
  f("augment", o.augment);
  f("precision", o.precision);
  f("holdout", o.holdout);
  f("seed", o.seed);
  f("out", o.out);
  f("task", o.task);
}
template <class F>
void each_field(TrainState& s, F&& f) {
  f("epoch", s.epoch);
  f("batch", s.batch);
  f("step", s.step);
  f("seen", s.seen);
  f("correct", s.correct);
  f("loss_sum", s.loss_sum);
  f("seconds", s.seconds);
  f("first_loss", s.first_loss);
  f("schedule_epoch", s.schedule_epoch);
  f("best_epoch", s.report.best_epoch);
  f("best_accuracy", s.report.best_accuracy);
}
template <class F>
void each_field(EpochRecord& r, F&& f) {
  f("epoch", r.epoch);
  f("loss", r.loss);
  f("accuracy", r.accuracy);
  f("val_loss", r.val_loss);
  f("val_accuracy", r.val_accuracy);
  f("seconds", r.seconds);
  f("rate", r.rate);
  f("sparsity", r.sparsity);
}

template <class T>
Json to_json(T value) {
  Json j = Json::object();
  each_field(value, [&](const char* name, const auto& v) { j[name] = v; });
  return j;
}
// A field that older checkpoints lack.
constexpr std::string_view younger = "schedule_epoch";

template <class T>
void from_json(const Json& j, T& value) {
  each_field(value, [&](const char* name, auto& v) {
    using V = std::decay_t<decltype(v)>;
    if (name == younger && !j.contains(name)) return;
    const Json& field = j.at(name);
    if constexpr (std::is_same_v<V, double>)  // JSON writes what is not finite as null
      v = field.is_null() ? std::numeric_limits<double>::quiet_NaN() : field.template get<double>();
    else
      v = field.template get<V>();
  });
}

}  // namespace

std::string machine_of(Device device) {
  return device == Device{} ? to_string(float_isa(current_isa())) : to_string(device);
}

void Trainer::save_checkpoint() const {
  if (options_.out.empty()) return;
  ContainerWriter writer;
  add_graph(writer, graph_, {.slots = true});
  if (best_) add_graph(writer, *best_, {.prefix = best_prefix});
  Json j = {{"options", to_json(options_)},
            {"state", to_json(state_)},
            {"schedule", to_string(options_.schedule)},
            {"machine", machine_of(device_)},
            {"fingerprints", fingerprints_},
            {"epochs", Json::array()}};
  for (const EpochRecord& r : state_.report.epochs) j["epochs"].push_back(to_json(r));
  writer.set_metadata(key, to_text(j));
  for (const auto& hook : hooks_) hook->save(writer);
  writer.write(checkpoint_file(options_.out));
}

std::string checkpoint_file(const std::string& out) { return out + ".ckpt"; }
std::string log_file(const std::string& out) { return out + ".csv"; }

void declare_training(RunFiles& files, const std::string& out, const std::string& option) {
  const auto named = [&](const char* what) { return option.empty() ? option : what + option; };
  files.writes(out, option, FileKind::model);
  files.writes(checkpoint_file(out), named("the checkpoint of "), FileKind::checkpoint);
  files.writes(log_file(out), named("the log of "), FileKind::log);
}

namespace {

std::string folder_of(const std::string& path) {
  return std::filesystem::path(real_path(path)).parent_path().string();
}

}  // namespace

Checkpoint load_checkpoint(const std::string& path) {
  const auto opened = std::make_shared<const Container>(path);
  const Container& file = *opened;
  check(file.has_metadata(key), ErrorCode::bad_input,
        "{}: a model, but no checkpoint; training is resumed from the file that ends in .ckpt",
        path);
  Checkpoint c;
  c.file = opened;
  constexpr std::string_view ending = ".ckpt";
  c.graph = read_graph(file);
  if (file.has_metadata(std::string(best_prefix) + "graph")) c.best = read_graph(file, best_prefix);
  const Json j = parse_json(file.metadata(key), path);
  try {
    from_json(j.at("options"), c.options);
    from_json(j.at("state"), c.state);
    for (const Json& r : j.at("epochs")) from_json(r, c.state.report.epochs.emplace_back());
    // The files stand where the checkpoint stands now, whatever it was called when it was written.
    if (path.ends_with(ending))
      c.options.out = path.substr(0, path.size() - ending.size());
    else if (folder_of(c.options.out) != folder_of(path))
      c.options.out = {};
    if (j.contains("fingerprints"))
      c.fingerprints = j.at("fingerprints").get<std::map<std::string, uint64_t>>();
    c.options.schedule = parse_schedule(j.at("schedule").get<std::string>());
    c.machine = j.at("machine").get<std::string>();
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::bad_input, "{}: the checkpoint's state is damaged: {}", path, e.what());
  }
  return c;
}

std::optional<RunProgress> peek_progress(const std::string& path) {
  try {
    const Json j = parse_json(Container(peek_file(path)).metadata(key), path);
    return RunProgress{j.at("state").at("epoch").get<int64_t>(),
                       j.at("options").at("epochs").get<int64_t>(),
                       j.at("options").at("task").get<std::string>()};
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void extend(Checkpoint& c, int64_t epochs) {
  check(
      c.finished(),
      "the run is at epoch {} of {}, with a schedule of so many; it goes on without --epochs, and "
      "can be given more when it is finished",
      c.state.epoch + 1, c.options.epochs);
  check(epochs > c.options.epochs, "the run has {} epochs already, so --epochs {} adds none",
        c.options.epochs, epochs);
  add_history(
      c.graph,
      to_text({{"did", "train"}, {"epochs", epochs - c.options.epochs}, {"seed", c.options.seed}}));
  c.state.schedule_epoch = c.options.epochs;
  c.options.epochs = epochs;
}

void Trainer::write_log() const {
  if (options_.out.empty()) return;
  std::string text = "epoch,loss,accuracy,val_loss,val_accuracy,seconds,rate,sparsity\n";
  for (const EpochRecord& r : state_.report.epochs)
    text += message("{},{},{},{},{},{},{},{}\n", r.epoch, r.loss, r.accuracy, r.val_loss,
                    r.val_accuracy, r.seconds, r.rate, r.sparsity);
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  write_file_atomically(log_file(options_.out), {&bytes, 1});
}

}  // namespace pare
