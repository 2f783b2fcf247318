#include "tools/latency.h"

#include <chrono>
#include <cstdlib>
#include <map>

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "tools/in_turn.h"

namespace pare::tool {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Stopwatch {
 public:
  Stopwatch(const Plan& plan, const Tensor& x) : plan_(plan), x_(x) {
    for (int i = 0; i < 3; ++i) plan_.run(x_, y_);
  }
  double operator()() {
    const double start = now();
    plan_.run(x_, y_);
    return now() - start;
  }
  Latency latency(const Quantiles& q) const {
    const int64_t batch = x_.size(0);
    return {batch, 1e3 * q.p50, 1e3 * q.p95, double(batch) / q.p50};
  }

 private:
  const Plan& plan_;
  Tensor x_, y_;
};

// Adds the time of each step to the part of its node; steps of other nodes do not count.
void add_steps(const std::vector<StepTime>& steps, const std::map<std::string, size_t>& parts,
               PartTimes& times, double PartTimes::value_type::* side) {
  for (const StepTime& s : steps)
    if (const auto at = parts.find(s.node); at != parts.end())
      times[at->second].*side += 1e-6 * s.micros;
}

}  // namespace

double measuring_scale() {
  static const double scale = [] {
    const char* text = std::getenv("PARE_MEASURE");
    if (!text || !*text) return 1.0;
    const auto number = parse_number<double>(text);
    check(number && *number > 0 && *number <= 100,
          "PARE_MEASURE is '{}', expected a number above 0, at most 100", text);
    return *number;
  }();
  return scale;
}

Tensor random_images(const Graph& graph, int64_t batch) {
  const Tensor x = Tensor::empty(graph.input_shape(batch));
  Rng rng(1);
  for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(rng.normal());
  return x;
}

Latency measure_latency(const Plan& plan, const Tensor& images, double seconds) {
  Stopwatch watch(plan, images);
  std::vector<double> times;
  const double end = now() + seconds * measuring_scale();
  do times.push_back(watch());
  while (times.size() < 10 || now() < end);
  return watch.latency(quantiles(std::move(times)));
}

LatencyPair compare_latency(const Plan& before, const Plan& after, const Tensor& images,
                            double seconds) {
  Stopwatch first(before, images), second(after, images);
  const InTurn t = time_in_turn(std::ref(first), std::ref(second), seconds * measuring_scale());
  return {first.latency(t.first), second.latency(t.second), t.disturbed};
}

const char* disturbance(bool disturbed) {
  return disturbed ? "; other programs disturbed the measurement: repeat it when they are done"
                   : "";
}

std::vector<LayerTime> compare_layers(const Plan& before, const Plan& after, const Tensor& images,
                                      double seconds) {
  std::vector<LayerTime> layers;
  std::map<std::string, size_t> parts;
  for (const StepTime& s : after.profile(images))
    if (parts.try_emplace(s.node, layers.size()).second)
      layers.push_back({.node = s.node, .kernel = s.kernel, .form_before = {}, .form = s.form});
  for (const StepTime& s : before.profile(images))
    if (const auto at = parts.find(s.node); at != parts.end())
      if (std::string& form = layers[at->second].form_before; form.empty()) form = s.form;
  const auto both = [&] {
    PartTimes times(layers.size());
    add_steps(before.profile(images), parts, times, &PartTimes::value_type::first);
    add_steps(after.profile(images), parts, times, &PartTimes::value_type::second);
    return times;
  };
  const std::vector<InTurn> times = time_parts_in_turn(both, seconds * measuring_scale());
  for (size_t i = 0; i < layers.size(); ++i) {
    layers[i].before_us = 1e6 * times[i].first.p50;
    layers[i].after_us = 1e6 * times[i].second.p50;
    layers[i].disturbed = times[i].disturbed;
  }
  return layers;
}

}  // namespace pare::tool
