#include "tools/latency.h"

#include <algorithm>
#include <chrono>

#include "core/random.h"
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

// Profiles of one plan: a list of times for each step. Steps of one node count together.
class Profiles {
 public:
  struct Node {
    std::string name, kernel;
    std::vector<double> times;
  };
  std::vector<Node> nodes;

  void add(const std::vector<StepTime>& steps) {
    for (Node& n : nodes) n.times.push_back(0);
    for (const StepTime& s : steps) {
      Node* node = find(s.node);
      if (!node) {
        nodes.push_back({s.node, s.kernel, {0}});
        node = &nodes.back();
      }
      node->times.back() += s.micros;
    }
  }
  Node* find(const std::string& name) {
    const auto at =
        std::find_if(nodes.begin(), nodes.end(), [&](const Node& n) { return n.name == name; });
    return at == nodes.end() ? nullptr : &*at;
  }
};

}  // namespace

Tensor random_images(const Graph& graph, int64_t batch) {
  const Tensor x = Tensor::empty(graph.input_shape(batch));
  Rng rng(1);
  for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(rng.normal());
  return x;
}

Latency measure_latency(const Plan& plan, const Tensor& images, double seconds) {
  Stopwatch watch(plan, images);
  std::vector<double> times;
  const double end = now() + seconds;
  do times.push_back(watch());
  while (times.size() < 10 || now() < end);
  return watch.latency(quantiles(std::move(times)));
}

LatencyPair compare_latency(const Plan& before, const Plan& after, const Tensor& images,
                            double seconds) {
  Stopwatch first(before, images), second(after, images);
  const InTurn t = time_in_turn(std::ref(first), std::ref(second), seconds);
  return {first.latency(t.first), second.latency(t.second), t.disturbed};
}

const char* disturbance(const LatencyPair& pair) {
  return pair.disturbed ? "; other programs disturbed the measurement: repeat it when they are done"
                        : "";
}

std::vector<LayerTime> compare_layers(const Plan& before, const Plan& after, const Tensor& images) {
  Profiles a, b;
  const double end = now() + 0.3;
  for (int i = 0; i < 5 || (i < 51 && now() < end); ++i) {
    a.add(before.profile(images));
    b.add(after.profile(images));
  }
  std::vector<LayerTime> layers;
  for (const auto& [name, kernel, times] : b.nodes) {
    layers.push_back({name, kernel, {}, 0, quantiles(times).p50});
    if (const Profiles::Node* old = a.find(name)) {
      layers.back().before_us = quantiles(old->times).p50;
      layers.back().kernel_before = old->kernel;
    }
  }
  return layers;
}

}  // namespace pare::tool
