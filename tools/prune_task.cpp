// What a checkpoint of `pare prune` carries so that the whole command can be resumed: its options
// and how far it has come. Numbers read back exactly.
#include <limits>

#include "autograd/graph_file.h"
#include "core/json.h"
#include "tools/prune.h"

namespace pare::tool {
namespace {

template <class Run, class F>
void each_field(Run& r, F&& f) {
  auto& p = r.flags;
  f("model", p.file);
  f("method", p.method);
  f("structure", p.structure);
  f("scope", p.scope);
  f("when", p.when);
  f("ramp", p.ramp);
  f("control", p.control);
  f("sparsity", p.sparsity);
  f("rounds", p.rounds);
  f("ramp_begin", p.ramp_begin);
  f("ramp_end", p.ramp_end);
  f("every", p.every);
  f("fraction", p.fraction);
  f("rewind", p.rewind);
  f("control_rate", p.control_rate);
  auto& s = r.channels;
  f("macs", s.macs);
  f("floor", s.floor);
  f("widths", s.widths);
  f("round_to", s.round_to);
  auto& t = r.training;
  f("epochs", t.epochs);
  f("optimizer", t.optimizer);
  f("schedule", t.schedule);
  f("augment", t.augment);
  f("rate", t.rate);
  f("momentum", t.momentum);
  f("weight_decay", t.weight_decay);
  f("warmup", t.warmup);
  f("clip", t.clip);
  f("holdout", t.holdout);
  f("average", t.average);
  f("precision", t.precision);
  f("teacher", t.teacher);
  f("alpha", t.alpha);
  f("temperature", t.temperature);
  f("norm_penalty", t.norm_penalty);
  auto& c = r.common;
  f("data", c.data);
  f("data_dir", c.data_dir);
  f("seed", c.seed);
  f("batch", c.batch);
  f("round", r.round);
  f("trained_epochs", r.epochs);
  f("bytes_before", r.bytes_before);
  f("accuracy_before", r.before.accuracy);
  f("accuracy_pruned", r.pruned.accuracy);
  f("groups", r.groups);
  f("removed", r.removed);
}

void write(Json& j, const char* name, const std::vector<PrunedGroup>& groups) {
  j[name] = Json::array();
  for (const PrunedGroup& g : groups) j[name].push_back({g.name, g.channels, g.kept});
}
void read(const Json& j, const char* name, std::vector<PrunedGroup>& groups) {
  groups.clear();
  for (const Json& g : j.at(name))
    groups.push_back({g.at(0).get<std::string>(), g.at(1).get<int64_t>(), g.at(2).get<int64_t>()});
}
template <class T>
void write(Json& j, const char* name, const T& value) {
  j[name] = value;
}
template <class T>
void write(Json& j, const char* name, const std::optional<T>& value) {
  if (value) j[name] = *value;
}
template <class T>
void read(const Json& j, const char* name, T& value) {
  value = j.at(name).get<T>();
}
void read(const Json& j, const char* name, double& value) {  // null: not known
  value =
      j.at(name).is_null() ? std::numeric_limits<double>::quiet_NaN() : j.at(name).get<double>();
}
template <class T>
void read(const Json& j, const char* name, std::optional<T>& value) {
  value = j.contains(name) ? std::optional<T>(j.at(name).get<T>()) : std::nullopt;
}

constexpr const char* original_prefix = "original/";

class CarryOriginal : public TrainHook {
 public:
  explicit CarryOriginal(const Graph& original) : original_(original) {}
  bool recordable() const override { return true; }
  void save(ContainerWriter& writer) const override {
    add_graph(writer, original_, {.prefix = original_prefix});
  }

 private:
  const Graph& original_;
};

}  // namespace

std::shared_ptr<TrainHook> carry_original(const PruneRun& run) {
  return std::make_shared<CarryOriginal>(run.original);
}

void read_original(PruneRun& run) {
  const Container& file = *run.checkpoint->file;
  check(file.has_metadata(std::string(original_prefix) + "graph"), ErrorCode::bad_input,
        "{}: holds no network as it was before pruning; an older pare wrote it", run.resume);
  run.original = read_graph(file, original_prefix);
}

std::string task_of(const PruneRun& run) {
  Json prune = Json::object();
  each_field(run, [&](const char* name, const auto& value) { write(prune, name, value); });
  const std::string training = task_of(run.training);
  Json task = training.empty() ? Json::object() : parse_json(training, "the task");
  task["prune"] = std::move(prune);
  return to_text(task);
}

void read_task(PruneRun& run, const std::string& task) {
  const Json j = task.empty() ? Json::object() : parse_json(task, "the checkpoint's task");
  check(j.is_object() && j.contains("prune"), ErrorCode::bad_input,
        "{}: a checkpoint, but not one of pare prune; go on with pare train --resume", run.resume);
  const std::string data = run.common.data, folder = run.common.data_dir;
  try {
    each_field(run, [&](const char* name, auto& value) { read(j.at("prune"), name, value); });
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::bad_input, "{}: the checkpoint's task is damaged: {}", run.resume, e.what());
  }
  // Data may have moved since.
  if (!data.empty()) run.common.data = data;
  if (!folder.empty()) run.common.data_dir = folder;
}

}  // namespace pare::tool
