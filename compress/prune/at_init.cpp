#include "compress/prune/at_init.h"

#include <cmath>

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace pare {
namespace {

constexpr double temperature = 200;

using ByWeight = std::map<std::string, std::vector<double>>;

// A copy in double precision: differences of gradients and products over many layers need it.
Graph double_copy(const Graph& graph) {
  Graph copy = graph.clone();
  to_dtype(copy, DType::f64);
  return copy;
}

// The gradient of `loss` with respect to every prunable weight; zeros where it has none, and where
// a mask drops the weight: such a connection is none of the network's.
template <class F>
ByWeight gradients(Graph& graph, F&& loss) {
  for (Param& p : parameters(graph)) p.clear_grad();
  {
    Tape tape;
    tape.backward(loss());
  }
  ByWeight all;
  for (const PrunableWeight& w : prunable_weights(graph)) {
    auto& g = all[w.name] = w.param.has_grad()
                                ? w.param.grad().to_vector<double>()
                                : std::vector<double>(size_t(w.param.value().elements()));
    const Tensor& mask = w.param.state().mask;
    if (!mask.defined()) continue;
    const auto keep = mask.to_vector<uint8_t>();
    for (size_t i = 0; i < keep.size(); ++i)
      if (!keep[i]) g[i] = 0;
  }
  return all;
}

// Of the cross-entropy at that temperature, mean over batches.
ByWeight mean_gradient(Graph& graph, const std::vector<Batch>& batches) {
  ByWeight mean;
  for (const Batch& b : batches) {
    const Tensor images = b.images.to(DType::f64);
    const ByWeight one = gradients(graph, [&] {
      return softmax_cross_entropy(graph(images, Mode::eval) / temperature, b.labels);
    });
    for (const auto& [name, g] : one) {
      auto& sum = mean[name];
      sum.resize(g.size());
      for (size_t i = 0; i < g.size(); ++i) sum[i] += g[i] / double(batches.size());
    }
  }
  return mean;
}

// w += step g for every prunable weight.
void move(Graph& graph, const ByWeight& g, double step) {
  for (const PrunableWeight& w : prunable_weights(graph)) {
    auto* value = w.param.value().data<double>();
    const auto& slope = g.at(w.name);
    for (size_t i = 0; i < slope.size(); ++i) value[i] += step * slope[i];
  }
}

double norm(const ByWeight& g) {
  double squares = 0;
  for (const auto& [name, v] : g)
    for (const double x : v) squares += x * x;
  return std::sqrt(squares);
}

ByWeight values(const Graph& graph) {
  ByWeight all;
  for (const PrunableWeight& w : prunable_weights(graph))
    all[w.name] = w.param.value().to_vector<double>();
  return all;
}

const std::vector<double>& seen(const ByWeight& all, const PrunableWeight& weight,
                                const std::string& criterion) {
  const auto it = all.find(weight.name);
  check(it != all.end(), "{}: has not seen '{}'; call prepare first", criterion, weight.name);
  return it->second;
}

}  // namespace

void Grasp::prepare(Graph& graph, const std::vector<Batch>& batches) {
  check(!batches.empty(), "grasp: no data to take gradients from");
  Graph copy = double_copy(graph);
  const ByWeight g = mean_gradient(copy, batches);
  const double size = norm(g);
  check(std::isfinite(size), ErrorCode::bad_input, "grasp: the gradient is not finite");
  check(size > 0, ErrorCode::bad_input, "grasp: the gradient is zero");
  const double h = 1e-4 * norm(values(copy)) / size;
  move(copy, g, h);
  curvature_ = mean_gradient(copy, batches);
  move(copy, g, -2 * h);
  for (const auto& [name, below] : mean_gradient(copy, batches)) {
    auto& above = curvature_.at(name);
    for (size_t i = 0; i < below.size(); ++i) above[i] = (above[i] - below[i]) / (2 * h);
  }
}

Tensor Grasp::scores(const PrunableWeight& weight) const {
  const auto& hg = seen(curvature_, weight, name());
  return score_elements(weight, [&](double w, int64_t i) { return w * hg[size_t(i)]; });
}

void SynFlow::prepare(Graph& graph, const std::vector<Batch>&) {
  Graph copy = double_copy(graph);
  for (const Param& p : parameters(copy)) {
    auto* value = p.value().data<double>();
    for (int64_t i = 0; i < p.value().elements(); ++i) value[i] = std::fabs(value[i]);
  }
  const Tensor ones = Tensor::full(copy.input_shape(1), 1, DType::f64);
  flow_ = gradients(copy, [&] { return sum(copy(ones, Mode::eval)); });
  // Only the order counts, and products over many layers leave the range of floats.
  double most = 0;
  for (const auto& [name, flow] : flow_)
    for (const double f : flow) most = std::max(most, f);
  for (auto& [name, flow] : flow_)
    for (double& f : flow) f /= most > 0 ? most : 1;
}

Tensor SynFlow::scores(const PrunableWeight& weight) const {
  const auto& flow = seen(flow_, weight, name());
  return score_elements(weight,
                        [&](double w, int64_t i) { return std::fabs(w) * flow[size_t(i)]; });
}

}  // namespace pare
