// What the files of `pare prune` share: a request, and a run from the file that is read to the
// report. prune.cpp reads the options and begins, prune_task.cpp lets a run be resumed,
// prune_when.cpp orders the rounds, prune_eliminate.cpp removes weights, prune_channels.cpp
// channels and blocks, prune_train.cpp trains, prune_report.cpp measures and prints,
// prune_speed.cpp explains what became of the speed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compress/prune/lottery.h"
#include "compress/prune/prune.h"
#include "compress/prune/structured/prune_channels.h"
#include "optim/evaluate.h"
#include "tools/training.h"

namespace pare::tool {

struct PruneFlags {
  std::string file;  // a file, or the name of a network
  std::string method = "magnitude", structure = "unstructured", scope = "global", when = "one-shot",
              ramp = "cubic", control = "none";
  double sparsity = 0.9;
  std::optional<int> rounds;  // default: 3, or what the criterion wants at initialization
  double ramp_begin = 0, ramp_end = 0.75;  // shares of the training
  int64_t every = 100;                     // steps between changes of masks
  double fraction = 0.3;                   // of connections that dynamic pruning moves
  int64_t rewind = 0;                      // step whose weights a lottery ticket goes back to
  std::optional<double> control_rate;      // default: the network's own, see train_control
};

struct ChannelFlags {
  std::optional<double> macs, floor;
  std::vector<int64_t> widths;
  int64_t round_to = 1;
};

// What was asked for; of a resumed run, what its checkpoint says was.
struct PruneRequest {
  CommonOptions common;
  TrainingFlags training;
  PruneFlags flags;
  ChannelFlags channels;
  std::string resume;

  PruneOptions how() const;  // of a pass to the last sparsity
};

// And how far it has come.
struct PruneRun : PruneRequest {
  explicit PruneRun(const PruneRequest& request) : PruneRequest(request) {}

  Graph graph, original;  // being pruned; as it was
  Dataset data;
  std::string out;
  Device device;  // of the trainings; what looks for weights works on the CPU
  std::unique_ptr<Criterion> criterion;  // none for channels and blocks
  std::vector<Batch> sample;             // what the criterion looks at, where it needs data
  int round = 1;                         // that is being pruned or trained
  int64_t epochs = 0;                    // trained in this run
  std::vector<PrunedGroup> groups;       // of channels: before the first round, after the last
  std::vector<std::string> removed;      // residual blocks
  Evaluation before, pruned, after;      // on the test part; pruned: before the last training
  int64_t bytes_before = 0;              // of the input, or of a file of the new network
  std::optional<Checkpoint> checkpoint;  // of the training to go on with
  struct Control {
    int64_t epochs = 0;
    OptimizerOptions optimizer;
    Evaluation result;
    std::string file;
  };
  std::optional<Control> control;

  int rounds() const;
};

// Fills in what follows from other options, where it was not `given`. Throws Error{usage} where an
// option was, but has no part in what is done.
void settle_prune_flags(PruneFlags& flags, const std::function<bool(const char*)>& given);
// Throws Error{usage} for options that are out of range or do not go together; reads no file.
void check_prune_flags(const PruneRequest& request);

// Flags and stage as the text that a checkpoint carries, and back.
std::string task_of(const PruneRun& run);
void read_task(PruneRun& run, const std::string& task);
// `original` in the checkpoint, and back: the input may be overwritten by then, for --out may be
// the input.
std::shared_ptr<TrainHook> carry_original(const PruneRun& run);
void read_original(PruneRun& run);

// Throws what the trainings, the control's too, would throw for their options, before anything is
// computed: builds each and drops it. `criterion` is made.
void rehearse(PruneRun& run);
void rehearse_trainings(PruneRun& run);  // the part of it that trains

// All rounds of eliminating and training that --when asks for. Leaves `graph` finished.
void prune_and_train(PruneRun& run);
// Removes weights until `sparsity` of them are gone, and says what is left.
void eliminate(PruneRun& run, double sparsity);
// Trains `graph`, or goes on with the checkpoint. `ticket`, where there is one, is filled.
void train(PruneRun& run, const std::shared_ptr<RememberStep>& ticket = nullptr);
// Where the control goes.
std::string control_file(const PruneRun& run);
// Trains fresh weights of the same shapes, under the same masks, for as long as the pruned network
// was trained: as that was where it began with fresh weights too, else by the network's own recipe,
// for options that tune learned weights do not suit fresh ones.
void train_control(PruneRun& run);
// Prints accuracy, size and speed before and after. `out` is written.
void report(PruneRun& run);

}  // namespace pare::tool
