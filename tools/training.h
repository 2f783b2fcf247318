// The training options that train, distill, prune and quantize share, and the run they lead to.
#pragma once

#include <optional>

#include "optim/recipe.h"
#include "tools/command.h"

namespace pare::tool {

// Options given on the command line; those absent keep the recipe's value.
struct TrainingFlags {
  std::optional<int64_t> epochs;
  std::optional<std::string> optimizer, schedule, augment;
  std::optional<double> rate, momentum, weight_decay, warmup, clip, holdout, average;
  std::string teacher;
  double alpha = 0.1, temperature = 4;
  double norm_penalty = 0;
  std::optional<std::string> precision;
  bool eager = false;
};
// Returns the names of the options it adds.
std::vector<std::string> add_training(CLI::App& command, TrainingFlags& flags);
// Also writes into `graph` which share is held out.
void apply_flags(const TrainingFlags& flags, const CommonOptions& common, Graph& graph,
                 TrainOptions& options);

// Names what a new training writes as outputs of the run. Throws Error{usage} where the checkpoint
// of a run that is not finished would be lost, unless --force.
void declare_new_training(const std::string& out, const std::string& option);
// Throws Error{usage} where a new output would lose a run that is not finished, unless --force.
void keep_unfinished(const std::string& out);
// output_name for a new training from `input`, declared. --out may replace the model `input`, and
// nothing may replace the teacher.
std::string training_output(const CommonOptions& options, const std::string& input,
                            const std::string& suffix, const std::string& teacher);
// Says what the outputs of a resumed training are, and which inputs they may replace: the
// checkpoint `resume` alone.
void declare_resumed_training(const Checkpoint& checkpoint, const std::string& resume);
// What goes on with an interrupted run, to be pasted into a shell: "pare COMMAND --resume OUT.ckpt"
// with the options that a checkpoint does not carry.
std::string resume_command(const CommonOptions& options, const std::string& command,
                           const std::string& out);

// Refuses options that change nothing in a training by `options`, and says where others ask for
// more than there is, and which classes no image is trained on.
void check_effects(const TrainingFlags& flags, const CommonOptions& common,
                   const TrainOptions& options, const Dataset& data);

// What a run computes with on `device`. Throws Error{usage} where --precision asks for what it has
// not.
void check_precision(const TrainingFlags& flags, Device device);

// The loss of a run: cross-entropy, or with a teacher
//   alpha CE + (1 - alpha) T^2 KL(teacher || student) (Hinton et al. 2015),
// and with a norm penalty L the sum of |gamma| over all batch norms times L added.
// `task` (JSON) says which; a checkpoint carries it.
std::string task_of(const TrainingFlags& flags);
void set_task_loss(Trainer& trainer, const std::string& task, const Graph& graph);

// The teacher's file that a task names; "": none.
std::string teacher_of(const std::string& task);

// A saved model, or a new one by its name, with the data it goes with.
struct Start {
  Graph graph;
  Dataset data;
  bool is_file = false;
};
Start start_from(const std::string& model_or_file, const CommonOptions& common);

// Trains under Ctrl-C protection; throws Error{interrupted} when a signal stopped it, which says
// what to do: `then`.
TrainReport run_training(Trainer& trainer, const std::string& then);

// The JSON that every training prints. `replays` and `not_recorded`: steps that a device replayed
// as recorded, and why none could be (null: it was not tried, or it could). `test`: on the test
// part.
Json facts_of_training(Graph& graph, const Dataset& data, const TrainReport& report,
                       const RecordedStep& step, const Evaluation& test, const std::string& file);

}  // namespace pare::tool
