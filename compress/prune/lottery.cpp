#include "compress/prune/lottery.h"

#include "autograd/graph_file.h"
#include "compress/batch_norm.h"
#include "layers/layers.h"

namespace pare {
namespace {

constexpr const char* prefix = "rewind/";

void forget_optimizer(Param& p) {
  p.state().slots.clear();
  p.state().steps = 0;
  p.clear_grad();
}

}  // namespace

void RememberStep::start(const TrainMoment& now) {
  check(graph_ || step_ < now.steps,
        "the weights of step {} are asked for, but the training has {} steps", step_, now.steps);
}

void RememberStep::before_step(const TrainMoment& now) {
  if (now.step == step_ && !graph_) graph_ = now.graph.clone();
}

void RememberStep::save(ContainerWriter& writer) const {
  if (graph_) add_graph(writer, *graph_, {.prefix = prefix});
}

void RememberStep::load(const Container& file) {
  if (file.has_metadata(std::string(prefix) + "graph")) graph_ = read_graph(file, prefix);
}

Graph& RememberStep::graph() {
  check(graph_.has_value(), "the training has not come to step {} yet", step_);
  return *graph_;
}

void rewind(Graph& graph, Graph& to) {
  const auto mine = named_parameters(graph), theirs = named_parameters(to);
  const auto buffers = named_buffers(graph), old = named_buffers(to);
  check(mine.size() == theirs.size() && buffers.size() == old.size(),
        "rewind: the networks differ: {} parameters and {}", mine.size(), theirs.size());
  const auto check_shape = [](const std::string& name, const Tensor& here, const Tensor& there) {
    check(here.shape() == there.shape(), "rewind: '{}' is {} here and {} there", name, here.shape(),
          there.shape());
  };
  for (size_t i = 0; i < mine.size(); ++i)
    check_shape(mine[i].first, mine[i].second.value(), theirs[i].second.value());
  for (size_t i = 0; i < buffers.size(); ++i)
    check_shape(buffers[i].first, buffers[i].second.value(), old[i].second.value());
  for (size_t i = 0; i < mine.size(); ++i) {
    Param p = mine[i].second;
    p.value().copy_from(theirs[i].second.value());
    forget_optimizer(p);
    p.apply_mask();
  }
  for (size_t i = 0; i < buffers.size(); ++i)
    buffers[i].second.value().copy_from(old[i].second.value());
}

void reinitialize(Graph& graph, uint64_t seed, double gain) {
  for (const GraphNode& node : graph.nodes) {
    const auto fill = [&](size_t input, double value) {
      if (input >= node.inputs.size()) return;
      const GraphValue& v = graph.values[size_t(node.inputs[input])];
      if (v.kind == ValueKind::param && v.param.value().rank() < 2) v.param.value().fill(value);
    };
    if (node.op->coupling == Coupling::producer) fill(2, 0);
    if (!is_norm(node)) continue;
    fill(1, 1);
    fill(2, 0);
    for (size_t i = 0; i < node.buffers.size(); ++i)
      graph.buffers[size_t(node.buffers[i])].buffer.value().fill(i == 1 ? 1 : 0);
  }
  initialize(graph, seed, gain);
  for (Param& p : parameters(graph)) {
    forget_optimizer(p);
    p.apply_mask();
  }
}

}  // namespace pare
