#include "compress/prune/lottery.h"

#include <algorithm>

#include "autograd/graph_file.h"
#include "compress/batch_norm.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "optim/history.h"

namespace pare {
namespace {

constexpr const char* prefix = "rewind/";

void forget_optimizer(Param& p) {
  p.state().slots.clear();
  p.state().steps = 0;
  p.clear_grad();
}

// Throws Error{bad_input} where parameters of the network are not those of a new one.
void check_whole(Graph& graph, Graph& fresh, const std::string& name) {
  const auto mine = named_parameters(graph), theirs = named_parameters(fresh);
  const auto [a, b] = std::mismatch(mine.begin(), mine.end(), theirs.begin(), theirs.end(),
                                    [](const auto& x, const auto& y) {
                                      return x.second.value().shape() == y.second.value().shape();
                                    });
  if (a == mine.end() && b == theirs.end()) return;
  const std::string difference =
      mine.size() != theirs.size()
          ? message("{} parameters where that has {}", mine.size(), theirs.size())
          : message("'{}' of {} where that has {}", a->first, a->second.value().shape(),
                    b->second.value().shape());
  fail(ErrorCode::bad_input,
       "{} no longer has the layers of a new {}: it has {}. Its channels or blocks were pruned, so "
       "it has no initial weights to go back to; name the model instead of the file",
       name, graph.get_metadata("model"), difference);
}

}  // namespace

void RememberStep::start(const TrainMoment& now) {
  check(graph_ || step_ < now.steps,
        "the weights of step {} are asked for, but the training has {} steps", step_, now.steps);
}

void RememberStep::before_step(const TrainMoment& now) {
  if (now.step != step_ || graph_) return;
  graph_ = now.graph.clone();
  if (step_ == 0) forget_last_training(*graph_);
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

Graph initial_network(const Graph& graph, const std::string& name) {
  const auto from = initial_weights_of(graph);
  check(
      from.has_value(), ErrorCode::bad_input,
      "{} does not say whether its weights are initial or trained, nor which seed they were drawn "
      "from, so its initial weights cannot be made again; name the model instead of the file (a "
      "program that saves initial weights says so by record_initialization())",
      name);
  const std::string model = graph.get_metadata("model");
  const auto known = model_names();
  const Shape input = graph.input_shape(1);
  const Ints& classes = graph.values[size_t(graph.outputs.front())].shape;
  check(std::find(known.begin(), known.end(), model) != known.end() && input.rank() == 4 &&
            classes.size() == 2,
        ErrorCode::bad_input,
        "{} holds no network that pare knows by name, so its initial weights cannot be made again",
        name);
  Graph initial =
      capture(*make_model(model, {input[1], input[2], input[3]}, classes[1], from->seed),
              Tensor::zeros(input));
  Graph mine = graph.share();
  check_whole(mine, initial, name);
  check(from->hash.empty() || from->hash == weights_hash(initial), ErrorCode::bad_input,
        "{} was trained with the seed {}, but its training did not begin with the weights that a "
        "new {} draws from it, so its initial weights cannot be made again; name the model instead "
        "of the file",
        name, from->seed, model);
  for (const auto& [key, value] : graph.metadata)
    if (key != "history") initial.set_metadata(key, value);
  record_initialization(initial, from->seed);
  return initial;
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
  rewind_history(graph, to);
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
  record_initialization(graph, seed);
  for (Param& p : parameters(graph)) {
    forget_optimizer(p);
    p.apply_mask();
  }
}

}  // namespace pare
