// Trainer: trains a graph on a data set, watches held-out accuracy, keeps the best, and can be
// stopped and resumed at any step with the bits of a run that never stopped.
//
// Files, when `out` is set: OUT is the model with the best held-out accuracy so far; OUT.ckpt holds
// everything resume needs, that best model among it; OUT.csv has a line per epoch. All are written
// atomically. They are outputs of the current RunFiles (core/run_files.h), else of one of the
// trainer's own: what another process writes, or what holds something else, is refused.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autograd/graph.h"
#include "core/backend.h"
#include "core/run_files.h"
#include "datasets/dataset.h"
#include "datasets/loader.h"
#include "optim/evaluate.h"
#include "optim/hook.h"
#include "optim/model_facts.h"
#include "optim/optimizer.h"
#include "optim/recorded_step.h"
#include "optim/schedule.h"

namespace pare {

class Progress;

struct TrainOptions {
  int64_t epochs = 5, batch = 64;
  OptimizerOptions optimizer = {};
  ScheduleKind schedule = ScheduleKind::cosine;
  double warmup = 0;           // epochs
  double average = 0;          // decay of an average of the weights, which is what is kept; 0: none
  std::string precision = {};  // of products in forward and backward (core/backend.h): fp32, tf32,
                               // bf16; "": what the calling thread has
  std::string augment = {};    // as Augmentation::parse takes it
  double holdout = 0.1;  // share of the training part kept for decisions; 0: train on everything
  uint64_t seed = 1;
  std::string out = {};   // "": no files
  std::string task = {};  // free text kept in the checkpoint: what a resumed command must do again
  bool quiet = false;     // no progress
  bool record = true;     // devices that can replay recorded steps do
};

struct EpochRecord {
  int64_t epoch = 0;                      // from 1
  double loss = 0, accuracy = 0;          // over the epoch's training batches, as they were seen
  double val_loss = 0, val_accuracy = 0;  // on the held-out part; 0 without one
  double seconds = 0, rate = 0;
  double sparsity = 0;  // share that masks drop of the parameters that have one
};

struct TrainReport {
  std::vector<EpochRecord> epochs;
  int64_t best_epoch = 0;
  double best_accuracy = 0;  // on the held-out part
  bool interrupted = false;  // stopped by a signal; the checkpoint is saved
};

// What a batch costs: a tensor of one element, differentiable. Default: softmax_cross_entropy.
// Batch::indices are places in Dataset::train, whatever is held out of it, for losses that look
// their targets up.
using LossFn = std::function<Tensor(const Tensor& logits, const Batch& batch)>;

// The state of a run between two steps.
struct TrainState {
  int64_t epoch = 0, batch = 0;  // the next ones, from 0
  int64_t step = 0, seen = 0, correct = 0;
  double loss_sum = 0, seconds = 0;
  double first_loss = 0;  // of the first step
  int64_t schedule_epoch =
      0;  // at which the schedule began: 0, or where extend() lengthened the run
  TrainReport report;
};

struct Checkpoint {
  Graph graph;
  std::optional<Graph> best;
  TrainOptions options;
  TrainState state;
  std::string machine;  // machine_of the device it ran on
  // Of what the run learns from and is judged on, by name ("training images"); a run that goes on
  // must find the same of the former. None in checkpoints of older versions.
  std::map<std::string, uint64_t> fingerprints;
  bool finished() const { return state.epoch >= options.epochs; }
  std::shared_ptr<const Container> file;  // for the hooks' own state
};
// `options.out` is where the checkpoint stands now: X of X.ckpt; of another name what it was
// written for, where that lies in the same folder, else "". Throws Error{bad_input} where the file
// is damaged or no checkpoint.
Checkpoint load_checkpoint(const std::string& path);
struct RunProgress {
  int64_t epoch = 0, epochs = 0;  // finished ones, and all
  std::string task;
};
// How far the run of a checkpoint came; nothing where the path is none that can be read.
std::optional<RunProgress> peek_progress(const std::string& path);
// Gives a finished run more epochs, so that it has `epochs` in all, with a schedule of their own:
// another run than one of `epochs` from the start. Throws Error{usage} where it is not finished or
// has as many already.
void extend(Checkpoint& checkpoint, int64_t epochs);

std::string checkpoint_file(const std::string& out);
std::string log_file(const std::string& out);
// Names the three files of a training as outputs of a run (RunFiles::writes).
void declare_training(RunFiles& files, const std::string& out, const std::string& option);

// What decides about the last bits: the device, or on the CPU the instruction set.
std::string machine_of(Device device);

class Trainer {
 public:
  // A new run: optimizer state that the parameters bring along is dropped. `graph` and `data` must
  // outlive the trainer. Throws Error{usage} for options out of range, Error{bad_input} where the
  // data are not preprocessed as the graph says (fit_data mends that). What the graph does not say
  // of its data yet is written into it, so that its file can be used alone.
  Trainer(Graph& graph, const Dataset& data, const TrainOptions& options);
  // Goes on where the checkpoint stopped; `checkpoint` and `data` must outlive the
  // trainer. Throws Error{bad_input} where the data are not those that it learned from. Another
  // test part changes no bit of a run: run() notes it.
  Trainer(Checkpoint& checkpoint, const Dataset& data);

  // `recordable`: every step runs the same ops on the tensors it is given, and numbers of the host
  // (a weight that falls, a table looked up by index) never change, so that a device may replay a
  // step it recorded.
  void set_loss(LossFn loss, bool recordable = false) {
    loss_ = std::move(loss);
    loss_recordable_ = recordable;
  }
  // Says what the run learns from besides the data, a teacher say, by a hash of it. Throws
  // Error{bad_input} where a resumed run learned from another.
  void relies_on(const std::string& what, uint64_t fingerprint);
  // A resumed run finds another test part than the one it began with: what was reported of it then
  // is of other images.
  bool test_part_changed() const { return test_part_changed_; }
  // A hook for this run; where it is a resumed one, with the state that the checkpoint holds.
  void add(std::shared_ptr<TrainHook> hook);
  // A hook that is one function, called before each step with its number and that of all steps.
  void on_step(std::function<void(int64_t step, int64_t steps)> f);

  // Trains to the end or to a signal; a new run adds itself to the graph's history
  // (optim/history.h). Afterwards the graph holds the best parameters (of the last
  // epoch without a held-out part, or with one output, whose class is always right) among the
  // epochs at whose end every hook had finished. Throws Error{diverged} before a step that would
  // follow a loss or gradient that is not finite, or a loss beyond all hope (a thousand times the
  // first), and after an epoch's last step where it left such a network, naming the layer; files
  // then hold what was last saved. Throws Error{usage} for a network that was never initialized,
  // Error{bad_input} for one that computes in integers.
  TrainReport run();
  // Where the graph's parameters are, there it trains.
  Device device() const { return device_; }
  const RecordedStep& recorded() const { return recorded_; }
  bool saves() const { return !options_.out.empty(); }
  int64_t steps() const { return options_.epochs * loader_->batches(); }

 private:
  Trainer(const Dataset& data, Graph& graph, const TrainOptions& options);  // keeps slots
  void begin_schedule();
  void rely_on_data();
  void run_epochs(Progress& progress);
  void train_step(Batch& batch);
  // Forward and backward of one batch; loss and number of right answers into step_*. Waits for
  // nothing.
  void compute_gradients(const Batch& batch);
  bool recordable() const;
  void finish_epoch(const Batch& last);
  // That the network survived its last update, which no step follows in this epoch: one forward
  // pass of the batch, before anything is kept or saved.
  void check_last_update(const Batch& batch);
  double largest_loss() const;  // above which no step is taken
  void keep_if_best(EpochRecord& record);
  TrainMoment moment() { return {graph_, state_.step, steps()}; }
  void save_checkpoint() const;
  void write_log() const;
  [[noreturn]] void explain_divergence(const Batch& batch, double loss);
  [[noreturn]] void explain_answers(const Batch& batch);  // that are not finite, though the loss is

  Graph& graph_;
  Device device_;
  Precision precision_ = Precision::fp32;
  const Dataset& data_;
  Preprocessing preprocessing_;
  TrainOptions options_;
  Split split_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Optimizer> optimizer_;
  RecordedStep recorded_;
  Tensor step_loss_, step_correct_;  // of the last step, one element each
  Schedule schedule_;
  LossFn loss_;
  bool loss_recordable_ = true;
  std::vector<std::shared_ptr<TrainHook>> hooks_;
  std::shared_ptr<const Container> file_;
  std::shared_ptr<RunFiles> files_;  // where there are none of the whole program
  std::map<std::string, uint64_t> fingerprints_;
  bool test_part_changed_ = false, has_changed_weights_ = false;
  TrainState state_;
  std::optional<Graph> best_;
  bool out_is_best_ = false;  // OUT was written by this run and holds best_
};

}  // namespace pare
