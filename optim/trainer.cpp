#include "optim/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "autograd/blame.h"
#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/fetch.h"
#include "core/fingerprint.h"
#include "core/json.h"
#include "optim/average.h"
#include "optim/check_network.h"
#include "optim/history.h"
#include "optim/interrupt.h"
#include "optim/progress.h"

namespace pare {
namespace {

// A loss this many times the first one does not come back: with dead units a network can sit at a
// loss of 1e9 for ever without anything being infinite.
constexpr double hopeless = 1e3;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The share of elements that masks drop, of the parameters that have one.
double masked_share(Graph& graph) {
  int64_t all = 0, kept = 0;
  for (const Param& p : parameters(graph)) {
    const ParamState& s = p.state();
    if (s.mask_kind == MaskKind::none) continue;
    const Tensor mask = s.mask.to(Device{}).plain();
    all += mask.elements();
    kept += std::count(mask.data<uint8_t>(), mask.data<uint8_t>() + mask.elements(), uint8_t(1));
  }
  return all ? 1 - double(kept) / double(all) : 0;
}

// Whether both have parameters and buffers of the same shapes and types, in the same order.
bool alike(Graph& x, Graph& y) {
  const auto same = [](const auto& a, const auto& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& p, const auto& q) {
      return p.second.value().shape() == q.second.value().shape() &&
             p.second.value().dtype() == q.second.value().dtype();
    });
  };
  return same(named_parameters(x), named_parameters(y)) && same(named_buffers(x), named_buffers(y));
}

// Copies values, masks and buffers between graphs of one structure.
void copy_state(Graph& from, Graph& to) {
  const auto a = named_parameters(from), b = named_parameters(to);
  for (size_t i = 0; i < a.size(); ++i) {
    const ParamState& s = a[i].second.state();
    ParamState& t = b[i].second.state();
    t.value.copy_from(s.value);
    t.mask = s.mask;
    t.mask_kind = s.mask_kind;
  }
  const auto c = named_buffers(from), d = named_buffers(to);
  for (size_t i = 0; i < c.size(); ++i) d[i].second.value().copy_from(c[i].second.value());
}

}  // namespace

Trainer::Trainer(Graph& graph, const Dataset& data, const TrainOptions& options)
    : Trainer(data, graph, options) {
  for (const Param& p : parameters(graph)) {  // what an earlier run left
    p.state().slots.clear();
    p.state().steps = 0;
  }
  if (options.average != 0) add(std::make_shared<WeightAverage>(options.average));
}

Trainer::Trainer(const Dataset& data, Graph& graph, const TrainOptions& options)
    : graph_(graph), device_(device_of(graph)), data_(data), options_(options) {
  check_differentiable(graph, "training");
  check(options.epochs >= 1 && options.epochs <= 1'000'000'000,
        "epochs {}, expected 1 to a billion", options.epochs);
  check(options.holdout >= 0 && options.holdout < 1, "holdout {}, expected 0 <= holdout < 1",
        options.holdout);
  check(options.warmup >= 0 && options.warmup <= 1e6,
        "warmup {}, expected at least 0 and at most a million epochs", options.warmup);
  precision_ = options.precision.empty() ? current_precision() : precision_named(options.precision);
  if (saves()) {
    RunFiles* files = current_run_files();
    if (!files) files = (files_ = std::make_shared<RunFiles>()).get();
    declare_training(*files, options.out, {});
  }
  preprocessing_ = settle_preprocessing(graph, data, options.holdout);
  split_ = hold_out(data.train, options.holdout);
  split_.train = split_.train.to(device_);
  split_.held_out = split_.held_out.to(device_);
  loader_ = std::make_unique<Loader>(split_.train, preprocessing_,
                                     LoaderOptions{.batch = options.batch,
                                                   .seed = options.seed,
                                                   .augment = Augmentation::parse(options.augment),
                                                   .drop_last = split_.train.size() > options.batch,
                                                   .indices = split_.train_indices});
  optimizer_ = make_optimizer(named_parameters(graph), options.optimizer);
  begin_schedule();
  loss_ = [](const Tensor& logits, const Batch& batch) {
    return softmax_cross_entropy(logits, batch.labels);
  };
}

void Trainer::begin_schedule() {
  const int64_t batches = loader_->batches(),
                all = (options_.epochs - state_.schedule_epoch) * batches;
  schedule_ = {options_.schedule, all,
               std::min(int64_t(options_.warmup * double(batches)), all - 1)};
}

Trainer::Trainer(Checkpoint& checkpoint, const Dataset& data)
    : Trainer(data, checkpoint.graph, checkpoint.options) {
  state_ = checkpoint.state;
  state_.report.interrupted = false;
  check(
      state_.epoch <= options_.epochs && state_.batch <= loader_->batches() &&
          state_.schedule_epoch >= 0 && state_.schedule_epoch < options_.epochs,
      ErrorCode::bad_input,
      "the checkpoint stopped at epoch {}, batch {}, but its run has {} epochs of {} batches; the "
      "data differ from those it was trained on",
      state_.epoch, state_.batch, options_.epochs, loader_->batches());
  if (checkpoint.best)
    check(alike(*checkpoint.best, graph_), ErrorCode::bad_input,
          "the checkpoint's best graph has other parameters than the one that trains");
  best_ = checkpoint.best ? std::optional(checkpoint.best->clone()) : std::nullopt;
  if (best_) to_device(*best_, device_);
  file_ = checkpoint.file;
  fingerprints_ = checkpoint.fingerprints;
  rely_on_data();
  begin_schedule();
  if (options_.average != 0) add(std::make_shared<WeightAverage>(options_.average));
}

void Trainer::relies_on(const std::string& what, uint64_t fingerprint) {
  const auto [known, added] = fingerprints_.emplace(what, fingerprint);
  if (added || known->second == fingerprint) return;
  const std::string file = file_ ? file_->name() : "the run";
  fail(ErrorCode::bad_input,
       "{} cannot go on: its {} changed since it was written. Put back what it began with, or "
       "begin a run of its own with its network (pare train {} --out NEW.pare)",
       file, what, file);
}

void Trainer::rely_on_data() {
  relies_on("training images", fingerprint(data_.train.images));
  relies_on("training labels", fingerprint(data_.train.labels));
  // No step and no decision reads the test part.
  const auto judged_on = [&](const char* what, const Tensor& tensor) {
    const uint64_t now = fingerprint(tensor);
    if (fingerprints_.emplace(what, now).first->second != now) test_part_changed_ = true;
  };
  judged_on("test images", data_.test.images);
  judged_on("test labels", data_.test.labels);
}

void Trainer::add(std::shared_ptr<TrainHook> hook) {
  if (file_) hook->load(*file_);
  hooks_.push_back(std::move(hook));
}

void Trainer::on_step(std::function<void(int64_t, int64_t)> f) {
  struct StepHook : TrainHook {
    std::function<void(int64_t, int64_t)> call;
    void before_step(const TrainMoment& now) override { call(now.step, now.steps); }
  };
  auto hook = std::make_shared<StepHook>();
  hook->call = std::move(f);
  add(std::move(hook));
}

void Trainer::explain_divergence(const Batch& batch, double loss) {
  const PrecisionScope precision(precision_);
  Graph copy = graph_.clone();  // keeps the buffers as they are
  const bool answers = std::isfinite(loss) || !all_finite(copy(batch.images, Mode::train));
  const std::string why = answers ? blame(copy, batch.images, Mode::train)
                                  : "the network's answers are finite: it is the loss itself";
  if (state_.step == 0)
    fail(ErrorCode::diverged,
         "training cannot begin: the loss of the first step is {}, and {}; no weight was changed",
         loss, why);
  fail(ErrorCode::diverged,
       "training diverged in epoch {}, step {}: the loss is {} (at first it was {}), and {}; no "
       "weight was changed in this step. Lower the learning rate ({}) or clip the gradients",
       state_.epoch + 1, state_.step, loss, state_.first_loss, why, optimizer_->rate());
}

void Trainer::explain_answers(const Batch& batch) {
  const PrecisionScope precision(precision_);
  Graph copy = graph_.clone();
  fail(ErrorCode::diverged,
       "training diverged in epoch {}, step {}: answers are not finite, and {}. Lower the learning "
       "rate ({}) or clip the gradients",
       state_.epoch + 1, state_.step, blame(copy, batch.images, Mode::train), optimizer_->rate());
}

double Trainer::largest_loss() const {
  // What is hopeless is told by the first loss, which only has to be finite.
  return state_.step == 0 ? std::numeric_limits<double>::max()
                          : hopeless * std::max(1.0, state_.first_loss);
}

void Trainer::check_last_update(const Batch& batch) {
  const PrecisionScope precision(precision_);
  const RunKeyScope key({options_.seed, uint64_t(state_.step)});
  Graph copy = graph_.clone();  // train mode, for its running statistics may lag, writes buffers
  const Tensor logits = copy(batch.images, Mode::train);
  double loss = 0;
  std::string why = not_finite_in(graph_);
  if (!why.empty())
    why = message("'{}' holds values that are not finite", why);
  else if (!all_finite(logits) ||
           (loss_recordable_ && !(std::abs(loss = loss_(logits, batch).item()) <= largest_loss())))
    why = blame(copy, batch.images, Mode::train);
  if (why.empty()) return;
  fail(ErrorCode::diverged,
       "training diverged in the last step of epoch {}{}: {}. Lower the learning rate ({}) or clip "
       "the gradients",
       state_.epoch + 1,
       loss == 0
           ? ""
           : message(", after which the loss is {} (at first it was {})", loss, state_.first_loss),
       why, optimizer_->rate());
}

bool Trainer::recordable() const {
  return options_.record && loss_recordable_ &&
         std::all_of(hooks_.begin(), hooks_.end(),
                     [](const auto& hook) { return hook->recordable(); });
}

void Trainer::compute_gradients(const Batch& batch) {
  const PrecisionScope precision(precision_);
  Tape tape;
  const Tensor logits = graph_(batch.images, Mode::train);
  step_loss_ = loss_(logits, batch);
  step_correct_ = count_correct(logits, batch.labels);
  tape.backward(step_loss_);
}

void Trainer::train_step(Batch& batch) {
  optimizer_->set_rate(options_.optimizer.rate *
                       schedule_.factor(state_.step - state_.schedule_epoch * loader_->batches()));
  for (const auto& hook : hooks_) hook->before_step(moment());
  const RunKeyScope key({options_.seed, uint64_t(state_.step)});
  if (recordable())
    recorded_.run(graph_, batch, [&] { compute_gradients(batch); });
  else
    compute_gradients(batch);
  for (const auto& hook : hooks_) hook->before_update(moment());
  optimizer_->queue_step(step_loss_, largest_loss());
  // The one place where a step waits for a device.
  const Tensor results[] = {step_loss_, step_correct_, optimizer_->verdict()};
  double values[4];
  fetch(results, values);
  if (state_.step == 0) state_.first_loss = values[0];
  if (!optimizer_->settle(values[3])) explain_divergence(batch, values[0]);
  has_changed_weights_ = true;
  if (!std::isfinite(values[1])) explain_answers(batch);
  for (const auto& hook : hooks_) hook->after_update(moment());
  const int64_t n = batch.labels.size(0);
  state_.loss_sum += values[0] * double(n);
  state_.correct += int64_t(values[1]);
  state_.seen += n;
  ++state_.step;
  ++state_.batch;
}

void Trainer::keep_if_best(EpochRecord& r) {
  TrainReport& report = state_.report;
  const bool held_out = split_.held_out.size() > 0;
  if (held_out) {
    const Evaluation e =
        evaluate(graph_, split_.held_out, preprocessing_, 250, ErrorCode::diverged);
    r.val_loss = e.loss;
    r.val_accuracy = e.accuracy;
  }
  const Ints& logits = graph_.values[size_t(graph_.outputs.front())].shape;
  const bool decides = held_out && logits[logits.size() - 1] > 1;  // one class is always right
  const bool finished = std::all_of(hooks_.begin(), hooks_.end(),
                                    [&](const auto& hook) { return hook->finished(state_.step); });
  if (!finished || (decides && best_ && r.val_accuracy <= report.best_accuracy)) return;
  report.best_accuracy = r.val_accuracy;
  report.best_epoch = r.epoch;
  best_ = graph_.clone();
  out_is_best_ = saves();
  if (saves()) save_graph(*best_, options_.out);
}

void Trainer::finish_epoch(const Batch& last) {
  check_last_update(last);
  EpochRecord r{.epoch = state_.epoch + 1,
                .loss = state_.loss_sum / double(state_.seen),
                .accuracy = double(state_.correct) / double(state_.seen),
                .rate = optimizer_->rate(),
                .sparsity = masked_share(graph_)};
  for (const auto& hook : hooks_) hook->before_evaluation(graph_);
  const auto restore = [&] {
    for (auto hook = hooks_.rbegin(); hook != hooks_.rend(); ++hook)
      (*hook)->after_evaluation(graph_);
  };
  try {
    keep_if_best(r);
  } catch (...) {  // the network is left as it trains
    restore();
    throw;
  }
  restore();
  r.seconds = state_.seconds;
  state_.report.epochs.push_back(r);
  ++state_.epoch;
  state_.batch = state_.seen = state_.correct = 0;
  state_.loss_sum = state_.seconds = 0;
  save_checkpoint();
  write_log();
}

TrainReport Trainer::run() {
  Progress progress(options_.quiet);
  if (saves()) rely_on_data();
  if (test_part_changed_)
    progress.line(
        "note: the test part is not the one that this run began with; the training goes on as it "
        "was, and what is told of the test part is of the new one");
  if (state_.step == 0) {
    check_initialized(graph_, "training", 1);
    record_training(graph_, options_.epochs, options_.seed);
  }
  has_changed_weights_ = state_.step > 0;
  try {
    run_epochs(progress);
  } catch (...) {
    if (!has_changed_weights_) forget_last_training(graph_);
    throw;
  }
  return state_.report;
}

void Trainer::run_epochs(Progress& progress) {
  for (const auto& hook : hooks_) hook->start(moment());
  Batch batch;
  bool told = false;
  for (; state_.epoch < options_.epochs;) {
    loader_->start_epoch(state_.epoch, state_.batch);
    double start = now();
    const double began = start;
    const int64_t first_batch = state_.batch;
    while (loader_->next(batch)) {
      train_step(batch);
      if (const std::string& why = recorded_.refusal(); !why.empty() && !std::exchange(told, true))
        progress.line("note: steps are queued kernel by kernel, not recorded and replayed: " + why);
      const double t = now();
      const int64_t done = state_.batch - first_batch, left = steps() - state_.step;
      const double rate = double(done) / (t - began);
      progress.live([&] {
        return message("epoch {}/{}  {} %  loss {}  accuracy {} %  {} images/s  {} left",
                       state_.epoch + 1, options_.epochs, 100 * state_.batch / loader_->batches(),
                       std::round(1e4 * state_.loss_sum / double(state_.seen)) / 1e4,
                       std::round(1e4 * double(state_.correct) / double(state_.seen)) / 100,
                       rate_text(rate * double(options_.batch)), clock_time(double(left) / rate));
      });
      if (interrupted()) {
        state_.seconds += t - start;
        state_.report.interrupted = true;
        save_checkpoint();
        return;
      }
    }
    state_.seconds += now() - start;
    if (!batch.images.defined()) {  // the run was resumed behind the epoch's last step
      loader_->start_epoch(state_.epoch, loader_->batches() - 1);
      loader_->next(batch);
    }
    finish_epoch(batch);
    const EpochRecord& r = state_.report.epochs.back();
    const auto rounded = [](double v, double unit) { return std::round(v * unit) / unit; };
    progress.line(message(
        "epoch {}/{}  loss {}  accuracy {} %{}{}  {} images/s  {} s", r.epoch, options_.epochs,
        rounded(r.loss, 1e4), rounded(100 * r.accuracy, 100),
        split_.held_out.size() ? message("  held-out {} %{}", rounded(100 * r.val_accuracy, 100),
                                         state_.report.best_epoch == r.epoch ? " (best)" : "")
                               : std::string(),
        r.sparsity > 0 ? message("  sparsity {} %", rounded(100 * r.sparsity, 100)) : std::string(),
        rate_text(double(loader_->batches() * options_.batch) / r.seconds),
        rounded(r.seconds, 10)));
  }
  if (best_) {
    // A resumed run whose best epoch was an earlier one may have another OUT now, or have lost it.
    if (saves() && !out_is_best_) save_graph(*best_, options_.out);
    copy_state(*best_, graph_);
  }
}

}  // namespace pare
