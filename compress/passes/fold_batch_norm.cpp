#include <algorithm>
#include <cmath>

#include "autograd/ops/builtin.h"
#include "compress/passes/edit.h"
#include "compress/passes/passes.h"

namespace pare {
namespace {

using namespace passes;

struct Folded {
  Tensor weight, bias;
};

Folded fold(const Graph& graph, const GraphNode& layer, const GraphNode& norm) {
  const Tensor w = known_tensor(graph, layer.inputs[1]);
  const Tensor b =
      layer.inputs.size() > 2 ? known_tensor(graph, layer.inputs[2]) : Tensor::zeros({w.size(0)});
  const Tensor gamma = known_tensor(graph, norm.inputs[1]);
  const Tensor beta = known_tensor(graph, norm.inputs[2]);
  const auto statistic = [&](int i) {
    return graph.buffers[size_t(norm.buffers[size_t(i)])].buffer.value().to(Device{});
  };
  const Tensor mean = statistic(0), variance = statistic(1);
  const double epsilon = norm.attrs.real("epsilon");
  Folded f{w.clone(), b.clone()};
  const int64_t inputs = w.elements() / std::max<int64_t>(1, w.size(0));
  for (int64_t o = 0; o < w.size(0); ++o) {
    const double scale =
        double(gamma.data<float>()[o]) / std::sqrt(double(variance.data<float>()[o]) + epsilon);
    for (int64_t i = 0; i < inputs; ++i) {
      float& v = f.weight.data<float>()[o * inputs + i];
      v = float(double(v) * scale);
    }
    f.bias.data<float>()[o] =
        float((double(b.data<float>()[o]) - double(mean.data<float>()[o])) * scale +
              double(beta.data<float>()[o]));
  }
  return f;
}

bool foldable(const Graph& graph, const GraphNode& layer, const GraphNode& norm) {
  if (!is_op(layer, "conv2d") && !is_op(layer, "dense")) return false;
  if (layer.attrs.integer("relu", 0)) return false;
  const auto known_float = [&](int id) {
    const Tensor t = known_tensor(graph, id);
    return t.defined() && t.dtype() == DType::f32;
  };
  for (size_t i = 1; i < layer.inputs.size(); ++i)
    if (!known_float(layer.inputs[i])) return false;
  return known_float(norm.inputs[1]) && known_float(norm.inputs[2]) &&
         only_reader(graph, layer.outputs[0]) >= 0;
}

// The node `name` over `inputs`, making a new value like `like`; returns that value.
int append(Graph& graph, int position, const Op& op, const std::string& name,
           std::vector<int> inputs, int like) {
  GraphValue v = graph.values[size_t(like)];
  v.name += "/" + name;
  const int out = graph.add_value(std::move(v));
  GraphNode node;
  node.op = &op;
  node.name = graph.values[size_t(out)].name;
  node.inputs = std::move(inputs);
  node.outputs = {out};
  graph.insert_node(position, std::move(node));
  return out;
}

}  // namespace

int fold_batch_norm(Graph& graph) {
  int folded = 0;
  for (int k = 0; k < int(graph.nodes.size()); ++k) {
    if (!is_op(graph.nodes[size_t(k)], "batch_norm")) continue;
    const GraphNode norm = graph.nodes[size_t(k)];
    const int at = graph.producer(norm.inputs[0]);
    if (at < 0 || !foldable(graph, graph.nodes[size_t(at)], norm)) continue;
    // The mean and scale it also gives are for training; someone who reads them keeps the norm.
    bool statistics_read = false;
    for (size_t i = 1; i < norm.outputs.size(); ++i)
      statistics_read = statistics_read || !graph.consumers(norm.outputs[i]).empty() ||
                        std::count(graph.outputs.begin(), graph.outputs.end(), norm.outputs[i]);
    if (statistics_read) continue;
    const Folded f = fold(graph, graph.nodes[size_t(at)], norm);
    const std::string name = graph.nodes[size_t(at)].name;
    const int weight = add_constant(graph, name + "/folded_weight", f.weight);
    const int bias = add_constant(graph, name + "/folded_bias", f.bias);
    GraphNode& layer = graph.nodes[size_t(at)];
    layer.inputs = {layer.inputs[0], weight, bias};
    const bool residual = norm.inputs.size() > 3, relu = norm.attrs.integer("relu", 0);
    if (!residual && relu) layer.attrs.set("relu", true);
    graph.remove_node(k);
    int result = layer.outputs[0];
    int position = k;
    if (residual)
      result = append(graph, position++, *find_op("add"), "add", {result, norm.inputs[3]}, result);
    if (residual && relu)
      result = append(graph, position++, *find_op("relu"), "relu", {result}, result);
    graph.replace_uses(norm.outputs[0], result, position);
    k = position - 1;
    ++folded;
  }
  graph.remove_unused();
  return folded;
}

}  // namespace pare
