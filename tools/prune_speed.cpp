#include "tools/prune_speed.h"

#include <algorithm>

#include "compress/plan/dense_layers.h"
#include "compress/prune/criterion.h"
#include "core/cpu/isa.h"
#include "tools/in_turn.h"

namespace pare::tool {
namespace {

// What runs, without what was measured to choose it.
std::string short_name(const std::string& form) { return form.substr(0, form.find(" (")); }

const NodeSummary* find(const GraphSummary& summary, const std::string& node) {
  for (const NodeSummary& n : summary.nodes)
    if (n.name == node) return &n;
  return nullptr;
}

// Why a layer takes as long as before, by what it computes.
std::string why_as_long(const LayerTime& t, const NodeSummary* before, const NodeSummary* after) {
  if (!before || !after) return {};
  if (after->macs == 0)
    return t.after_us < noticeable_ratio * t.before_us ? "it has no weights that could go" : "";
  if (after->effective_macs == before->effective_macs) return "nothing of it was removed";
  const std::string old_form = short_name(t.form_before), form = short_name(t.form);
  if (old_form != form) return fmt::format("it ran {} and now runs {}", old_form, form);
  if (form.starts_with("dense") && !t.kernel.starts_with("dense"))
    return "it runs dense at this batch: no sparse kernel was quicker";
  if (after->macs == before->macs) return {};  // zeros in place: the plan has the reason
  const Isa isa = float_isa(current_isa());
  const int lanes = isa == Isa::avx512 ? 16 : isa == Isa::avx2 ? 8 : 1;
  const auto vectors = [&](const NodeSummary& n) { return (n.output[1] + lanes - 1) / lanes; };
  if (lanes > 1 && vectors(*before) == vectors(*after))
    return fmt::format("its {} outputs fill as many vectors of {} as {} did", after->output[1],
                       lanes, before->output[1]);
  return {};
}

void count_weights(const Graph& graph, std::vector<LayerSpeed>& layers) {
  for (const PrunableWeight& w : prunable_weights(graph)) {
    const auto values = w.param.masked_value().to_vector<float>();
    for (LayerSpeed& l : layers) {
      if (l.node != w.node) continue;
      l.weights = int64_t(values.size());
      l.nonzero = l.weights - std::count(values.begin(), values.end(), 0.0f);
    }
  }
}

// Layers that did not get faster and matter, the longest first.
std::string slow_layers(const SpeedTrial& trial, size_t batch) {
  double total = 0;
  std::vector<const LayerSpeed*> slow;
  for (const LayerSpeed& l : trial.layers) {
    total += l.at[batch].after_us;
    if (l.at[batch].before_us > 0 && !l.at[batch].faster()) slow.push_back(&l);
  }
  std::sort(slow.begin(), slow.end(), [&](const LayerSpeed* a, const LayerSpeed* b) {
    const double x = a->at[batch].after_us, y = b->at[batch].after_us;
    return x != y ? x > y : a < b;  // in the network's order
  });
  std::string text;
  for (const LayerSpeed* l : slow) {
    const LayerSpeed::AtBatch& t = l->at[batch];
    if (t.after_us < worth_telling * total) break;
    const std::string& why = t.why.empty() ? l->why_dense : t.why;
    const bool slower = t.after_us > noticeable_ratio * t.before_us;
    text += fmt::format("\n  {} {}: {:.4g} us before, {:.4g} us now, {:.0f} % of the time{}{}{}",
                        l->node, slower ? "got slower" : "did not get faster", t.before_us,
                        t.after_us, 100 * t.after_us / total, why.empty() ? "" : "; ", why,
                        disturbance(t.disturbed));
  }
  return text;
}

}  // namespace

SpeedTrial measure_speed(const Graph& before, const GraphSummary& s, const Graph& after,
                         const GraphSummary& t) {
  const Plan old_plan = compile(before), plan = compile(after);
  SpeedTrial trial;
  trial.plan = plan.describe();
  trial.fewer_macs = double(s.effective_macs) / double(std::max<int64_t>(1, t.effective_macs));
  for (const int64_t batch : {1, 64}) {
    const Tensor images = random_images(after, batch);
    trial.latency.push_back(compare_latency(old_plan, plan, images));
    const auto times = compare_layers(old_plan, plan, images);
    for (size_t i = 0; i < times.size(); ++i) {
      const LayerTime& l = times[i];
      if (i == trial.layers.size())
        trial.layers.push_back({.node = l.node, .kernel = l.kernel, .why_dense = {}, .at = {}});
      trial.layers[i].at.push_back(
          {l.before_us, l.after_us, l.disturbed, why_as_long(l, find(s, l.node), find(t, l.node))});
    }
  }
  count_weights(after, trial.layers);
  for (const DenseLayer& d : dense_layers_with_zeros(after, plan.sparse_layers()))
    for (LayerSpeed& l : trial.layers)
      if (l.node == d.node) l.why_dense = d.why;
  return trial;
}

std::string speed_report(const SpeedTrial& trial) {
  std::string text;
  for (size_t i = 0; i < trial.latency.size(); ++i) {
    const LatencyPair& pair = trial.latency[i];
    const double speed = pair.speed();
    text += fmt::format("\nbatch {}: ", pair.before.batch);
    if (speed >= noticeable_ratio)
      text += fmt::format("{:.2f}x as fast", speed);
    else
      text += speed > 1 / noticeable_ratio ? "not faster"
                                           : fmt::format("slower, {:.2f}x the time", 1 / speed);
    text += trial.fewer_macs > 1
                ? fmt::format(", with {:.2f}x fewer multiply-accumulates", trial.fewer_macs)
                : ": nothing was removed";
    text += disturbance(pair.disturbed) + slow_layers(trial, i);
  }
  for (const LayerSpeed& l : trial.layers)
    if (!l.why_dense.empty())
      text += fmt::format("\n  {} ({:.0f} % zeros) runs dense: {}", l.node,
                          100 - 100 * double(l.nonzero) / double(l.weights), l.why_dense);
  return text + "\n\nthe plan:\n" + trial.plan;
}

Json layers_json(const SpeedTrial& trial) {
  Json layers = Json::array();
  for (const LayerSpeed& l : trial.layers) {
    Json j = {{"name", l.node},
              {"kernel", l.kernel},
              {"weights", l.weights},
              {"nonzero", l.nonzero},
              {"us_before", l.at[0].before_us},
              {"us_after", l.at[0].after_us},
              {"us_batch64_before", l.at[1].before_us},
              {"us_batch64_after", l.at[1].after_us},
              {"us_disturbed", l.at[0].disturbed || l.at[1].disturbed}};
    if (!l.why_dense.empty()) j["runs_dense"] = l.why_dense;
    layers.push_back(std::move(j));
  }
  return layers;
}

}  // namespace pare::tool
