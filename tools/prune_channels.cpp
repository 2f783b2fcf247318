#include "tools/prune_channels.h"

#include <algorithm>
#include <cmath>

#include "autograd/graph_file.h"
#include "autograd/graph_summary.h"
#include "compress/batch_norm.h"
#include "compress/prune/lottery.h"
#include "compress/prune/structured/blocks.h"
#include "compress/prune/structured/prune_channels.h"
#include "layers/zoo.h"
#include "optim/evaluate.h"
#include "tools/compress_report.h"
#include "tools/history.h"
#include "tools/prune_sample.h"

namespace pare::tool {
namespace {

int64_t count_channels(const Graph& graph) {
  int64_t n = 0;
  for (const ChannelGroup& g : find_channel_groups(graph).groups) n += g.channels();
  return n;
}

// A run of the command, from the file to the report.
class Run {
 public:
  explicit Run(const StructuredPruning& options) : o_(options) {}

  void run() {
    o_.common.apply();
    check_options();
    Start start = start_from(o_.file, o_.common);
    graph_ = std::move(start.graph);
    data_ = std::move(start.data);
    device_ = o_.common.device_for(graph_);
    check_precision(o_.training, device_);
    original_ = graph_.clone();
    out_ = output_name(o_.common, o_.file, "-pruned");
    if (blocks() || criterion_->needs_data()) sample_ = pruning_sample(data_);
    before_ = evaluate(graph_, data_.test, data_.preprocessing);
    for (int round = 1; round <= o_.rounds; ++round) {
      // The kept share falls by the same factor each round.
      const double share = double(round) / o_.rounds;
      blocks() ? remove_blocks(share) : remove_channels(share);
      if (reestimate_batch_norm(graph_, data_) > 0)
        note(o_.common, "statistics of batch norms were estimated again");
      pruned_ = evaluate(graph_, data_.test, data_.preprocessing);
      note(o_.common, "accuracy {} before, {} after pruning", percent(before_.accuracy),
           percent(pruned_.accuracy));
      if (round == o_.rounds) add_history(graph_, history());
      fine_tune();
    }
    save_graph(graph_, out_);
    after_ = evaluate(graph_, data_.test, data_.preprocessing);
    if (o_.control != "none") train_control();
    report();
  }

 private:
  bool blocks() const { return o_.structure == "block"; }
  double sparsity() const { return o_.sparsity.value_or(blocks() ? 0.3 : 0.5); }

  void check_options() {
    check(!o_.file.empty(), "name a model file to prune");
    check_structured(o_.flags, o_.structure);
    check(o_.control == "none" || o_.control == "scratch", "--control '{}', expected scratch",
          o_.control);
    check(o_.when == "one-shot" || o_.when == "iterative",
          "--when {} leaves zeros in place; channels and blocks go one-shot or iteratively",
          o_.when);
    check(o_.when == "one-shot" || (!o_.flags.macs && o_.flags.widths.empty()),
          "--when iterative raises the sparsity step by step; --macs and --widths are one step");
    check(o_.rounds >= 1 && o_.rounds <= 100, "--rounds {}, expected 1 to 100", o_.rounds);
    if (o_.when == "one-shot") o_.rounds = 1;
    check(sparsity() >= 0 && sparsity() <= 1, "--sparsity {}, expected a share between 0 and 1",
          sparsity());
    if (!blocks()) criterion_ = make_channel_criterion(o_.method, o_.common.seed);
    channel_options_ = {.sparsity = sparsity(), .scope = parse_prune_scope(o_.scope)};
    channel_options_.macs = o_.flags.macs;
    channel_options_.widths = o_.flags.widths;
    channel_options_.round_to = o_.flags.round_to;
    channel_options_.floor = o_.flags.floor.value_or(channel_options_.floor);
  }

  void remove_blocks(double share) {
    const auto all = int64_t(residual_blocks(original_).size());
    check(all > 0, ErrorCode::bad_input,
          "the network has no residual blocks with an identity shortcut to remove");
    const double gone = 1 - std::pow(1 - sparsity(), share);
    const int64_t count = std::llround(gone * double(all)) - removed_;
    for (const RemovedBlock& b : prune_blocks(graph_, sample_, int(std::max<int64_t>(0, count)))) {
      note(o_.common, "  {} removed; loss on training examples {:.4f}", b.name, b.loss);
      removed_list_.push_back(b.name);
      ++removed_;
    }
  }

  void remove_channels(double share) {
    if (criterion_->needs_data()) criterion_->prepare(graph_, find_channel_groups(graph_), sample_);
    // The share of what is left now that leaves what is wanted of what there was.
    ChannelOptions how = channel_options_;
    const double left = double(count_channels(graph_)) / double(count_channels(original_));
    how.sparsity = std::max(0.0, 1 - std::pow(1 - sparsity(), share) / left);
    const ChannelReport report = prune_channels(graph_, *criterion_, how);
    for (const PrunedGroup& g : report.groups) {
      remember(g);
      note(o_.common, "  {:<28} {:>5} of {:>5} channels kept", g.name, g.kept, g.channels);
    }
    for (const KeptChannels& k : report.whole)
      note(o_.common, "  {:<28} {:>5} stay whole: {}", k.name, k.channels, k.why);
  }

  Json history() const {
    Json entry = {{"did", "prune"},
                  {"method", blocks() ? "loss" : o_.method},
                  {"structure", o_.structure},
                  {"rounds", o_.rounds}};
    if (o_.flags.macs)
      entry["macs"] = *o_.flags.macs;
    else if (!o_.flags.widths.empty())
      entry["widths"] = o_.flags.widths;
    else
      entry["sparsity"] = sparsity();
    return entry;
  }

  void fine_tune() {
    TrainOptions options = fine_tune_recipe(graph_.get_metadata("model"), data_);
    apply_flags(o_.training, o_.common, graph_, options);
    options.out = out_;
    if (o_.training.epochs.value_or(1) == 0) return;
    to_device(graph_, device_);
    Trainer trainer(graph_, data_, options);
    set_task_loss(trainer, options.task, graph_);
    run_training(trainer);
    to_device(graph_, Device{});
    epochs_ += options.epochs;
  }

  std::string control_file() const { return out_.substr(0, out_.rfind(".pare")) + "-scratch.pare"; }
  // Fresh weights of the same shapes, trained as long as the network was before and after pruning
  // (Liu et al. 2019: often as good).
  void train_control() {
    const std::string model = graph_.get_metadata("model");
    Graph fresh = graph_.clone();
    reinitialize(fresh, o_.common.seed + 1000, initial_gain(model));
    TrainOptions options = default_recipe(model, data_);
    const int64_t usual = options.epochs, before = trained_epochs(original_);
    apply_flags(o_.training, o_.common, fresh, options);
    control_epochs_ = options.epochs = epochs_ + (before > 0 ? before : usual);
    options.out = control_file();
    note(o_.common, "the control: fresh weights of the same shapes, {} epochs", options.epochs);
    to_device(fresh, device_);
    Trainer trainer(fresh, data_, options);
    set_task_loss(trainer, options.task, fresh);
    run_training(trainer);
    control_ = evaluate(fresh, data_.test, data_.preprocessing);
  }

  void report() {
    const GraphSummary s = summarize(original_), t = summarize(graph_);
    const auto [l, m] = compare_latency(original_, graph_, 1);
    const auto [l64, m64] = compare_latency(original_, graph_, 64);
    const int64_t b = file_bytes(o_.file), c = file_bytes(out_);
    const int64_t channels = count_channels(original_), left = count_channels(graph_);
    const auto all = int64_t(residual_blocks(original_).size());
    const double share = blocks() ? double(removed_) / double(all)
                                  : 1 - double(left) / double(std::max<int64_t>(1, channels));
    Json json = {{"method", blocks() ? "loss" : o_.method},
                 {"structure", o_.structure},
                 {"sparsity", share},
                 {"when", o_.when},
                 {"accuracy_before", before_.accuracy},
                 {"accuracy_pruned", pruned_.accuracy},
                 {"accuracy_after", after_.accuracy},
                 {"macs_before", s.effective_macs},
                 {"macs_after", t.effective_macs},
                 {"params_before", s.params},
                 {"params_after", t.params},
                 {"file_bytes_before", b},
                 {"file_bytes_after", c},
                 {"latency_before_ms", l.p50_ms},
                 {"latency_after_ms", m.p50_ms},
                 {"latency_batch64_before_ms", l64.p50_ms},
                 {"latency_batch64_after_ms", m64.p50_ms}};
    if (blocks())
      json["removed"] = removed_list_;
    else
      json["groups"] = groups_json();
    std::string control;
    if (control_) {
      json["control"] = {{"kind", o_.control},
                         {"epochs", control_epochs_},
                         {"accuracy", control_->accuracy},
                         {"file", control_file()}};
      control = fmt::format("\nfresh weights of the same shapes, {} epochs: {}", control_epochs_,
                            percent(control_->accuracy));
    }
    json["file"] = out_;
    const auto milliseconds = [](const Latency& x) { return fmt::format("{:.3f} ms", x.p50_ms); };
    std::vector<BeforeAfter> rows = {
        {"test accuracy", percent(before_.accuracy), percent(after_.accuracy)}};
    if (blocks())
      rows.push_back({"residual blocks", std::to_string(all), std::to_string(all - removed_)});
    else
      rows.push_back({"channels", std::to_string(channels), std::to_string(left)});
    const auto count = [](int64_t n) { return human_count(double(n)); };
    const auto bytes = [](int64_t n) { return human_bytes(double(n)); };
    rows.push_back({"weights", std::to_string(s.params), std::to_string(t.params)});
    rows.push_back({"MACs", count(s.effective_macs), count(t.effective_macs)});
    rows.push_back({"file", bytes(b), bytes(c)});
    rows.push_back({"latency, batch 1", milliseconds(l), milliseconds(m)});
    rows.push_back({"latency, batch 64", milliseconds(l64), milliseconds(m64)});
    const double macs = double(s.effective_macs) / double(std::max<int64_t>(1, t.effective_macs));
    print_result(o_.common, json,
                 before_after_table(rows) + control + speed_note("1", macs, l.p50_ms / m.p50_ms) +
                     speed_note("64", macs, l64.p50_ms / m64.p50_ms) +
                     fmt::format("\nsaved {}", out_));
  }

  Json groups_json() const {
    Json list = Json::array();
    for (const PrunedGroup& g : groups_)
      list.push_back({{"name", g.name}, {"before", g.channels}, {"after", g.kept}});
    return list;
  }
  // Over rounds: channels as at first, kept as at last.
  void remember(const PrunedGroup& group) {
    const auto known = std::find_if(groups_.begin(), groups_.end(),
                                    [&](const PrunedGroup& g) { return g.name == group.name; });
    known == groups_.end() ? groups_.push_back(group) : void(known->kept = group.kept);
  }

  static std::string speed_note(const char* batch, double macs, double speed) {
    if (speed > 1.05)
      return fmt::format("\n{:.2f}x as fast at batch {}, with {:.2f}x fewer MACs.", speed, batch,
                         macs);
    return fmt::format(
        "\nNot faster at batch {}, though with {:.2f}x fewer MACs: so few channels leave vector "
        "lanes empty, or the time goes elsewhere.",
        batch, macs);
  }

  StructuredPruning o_;
  std::unique_ptr<ChannelCriterion> criterion_;
  ChannelOptions channel_options_;
  Graph graph_, original_;
  Dataset data_;
  Device device_;  // of trainings; what goes is decided on the CPU
  std::string out_;
  std::vector<Batch> sample_;
  std::vector<PrunedGroup> groups_;
  std::vector<std::string> removed_list_;
  int64_t removed_ = 0;                      // blocks
  int64_t epochs_ = 0, control_epochs_ = 0;  // trained here
  std::optional<Evaluation> control_;
  Evaluation before_, pruned_, after_;
};

}  // namespace

void add_structured(CLI::App& command, StructuredFlags& f) {
  command.add_option("--macs", f.macs,
                     "channel: share of the multiply-accumulates to keep, instead of --sparsity");
  command
      .add_option("--widths", f.widths,
                  "channel: how many channels each group keeps (161,64), instead of --sparsity")
      ->delimiter(',');
  command.add_option("--round-to", f.round_to,
                     "channel: keep a multiple of this many channels (8 fills vector lanes)");
  command.add_option("--floor", f.floor,
                     "channel: share of every group that stays whatever its rank");
}

void check_structured(const StructuredFlags& f, const std::string& structure) {
  check(structure == "channel" || !(f.macs || f.floor || !f.widths.empty() || f.round_to != 1),
        "--macs, --widths, --round-to and --floor are options of --structure channel, not of {}",
        structure);
  check(!f.macs || f.widths.empty(), "--macs and --widths both say how much goes; give one");
}

void prune_structured(const StructuredPruning& options) { Run(options).run(); }

}  // namespace pare::tool
