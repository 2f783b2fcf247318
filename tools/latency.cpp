#include "tools/latency.h"

#include <algorithm>
#include <chrono>

#include "compress/plan/plan.h"
#include "core/random.h"

namespace pare::tool {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Tensor random_images(Graph& graph, int64_t batch) {
  const Tensor x = Tensor::empty(graph.input_shape(batch));
  Rng rng(1);
  for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(rng.normal());
  return x;
}

class Stopwatch {
 public:
  Stopwatch(Graph& graph, int64_t batch) : plan_(compile(graph)), x_(random_images(graph, batch)) {
    for (int i = 0; i < 3; ++i) plan_.run(x_, y_);
  }
  void once() {
    const double start = now();
    plan_.run(x_, y_);
    times_.push_back(now() - start);
  }
  Latency result() {
    std::sort(times_.begin(), times_.end());
    const auto at = [&](double share) { return times_[size_t(share * double(times_.size() - 1))]; };
    const auto batch = x_.size(0);
    return {batch, 1e3 * at(0.5), 1e3 * at(0.95), double(batch) / at(0.5)};
  }

 private:
  Plan plan_;
  Tensor x_, y_;
  std::vector<double> times_;
};

template <class F>
void repeat(double seconds, F&& f) {
  const double end = now() + seconds;
  int runs = 0;
  do f();
  while (++runs < 10 || now() < end);
}

}  // namespace

Latency measure_latency(Graph& graph, int64_t batch, double seconds) {
  Stopwatch watch(graph, batch);
  repeat(seconds, [&] { watch.once(); });
  return watch.result();
}

std::pair<Latency, Latency> compare_latency(Graph& a, Graph& b, int64_t batch, double seconds) {
  Stopwatch first(a, batch), second(b, batch);
  repeat(seconds, [&] {
    first.once();
    second.once();
  });
  return {first.result(), second.result()};
}

}  // namespace pare::tool
