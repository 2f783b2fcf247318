#include "autograd/ops.h"
#include "compress/passes/edit.h"
#include "compress/passes/passes.h"

namespace pare {
namespace {

using namespace passes;

void finish(Call& c, const Tensor& y) {
  const Tensor sum = add(y, c.x(3));
  c.output(c.attrs->integer("relu") ? relu(sum) : sum);
}

void conv2d_add_forward(Call& c) {
  const auto option = [&](const char* name) {
    const int64_t value = c.attrs->integer(name);
    check(value == int(value), "conv2d_add: {} is {}", name, value);
    return int(value);
  };
  const Conv2dOptions o{.stride = option("stride"),
                        .padding = option("padding"),
                        .dilation = option("dilation"),
                        .groups = option("groups")};
  finish(c, conv2d(c.x(), c.x(1), c.x(2), o));
}

// The layer whose result is input `side` of an add, which nothing else reads.
int layer_into(const Graph& graph, int add_node, int side) {
  const GraphNode& sum = graph.nodes[size_t(add_node)];
  const int value = sum.inputs[size_t(side)], at = graph.producer(value);
  if (at < 0 || only_reader(graph, value) != add_node) return -1;
  const GraphNode& layer = graph.nodes[size_t(at)];
  const bool fits = (is_op(layer, "conv2d") || is_op(layer, "dense")) &&
                    !layer.attrs.integer("relu", 0) &&
                    graph.values[size_t(value)].dtype == DType::f32;
  return fits ? at : -1;
}

}  // namespace

const Op& conv2d_add_op() {
  static const Op& op =
      register_op({.name = "conv2d_add",
                   .inputs = {4, 4},
                   .buffers = {0, 0},
                   .attributes = {{{"stride"}, {"padding"}, {"dilation"}, {"groups"}, {"relu"}}},
                   .forward = conv2d_add_forward,
                   .composite = true,
                   .coupling = Coupling::producer});
  return op;
}
const Op& dense_add_op() {
  static const Op& op =
      register_op({.name = "dense_add",
                   .inputs = {4, 4},
                   .buffers = {0, 0},
                   .attributes = {{{"relu"}}},
                   .forward = [](Call& c) { finish(c, dense(c.x(), c.x(1), c.x(2))); },
                   .composite = true,
                   .coupling = Coupling::producer});
  return op;
}

int fuse_residual(Graph& graph) {
  int fused = 0;
  for (int k = 0; k < int(graph.nodes.size()); ++k) {
    const GraphNode sum = graph.nodes[size_t(k)];
    if (!is_op(sum, "add") ||
        !(graph.values[size_t(sum.inputs[0])].shape == graph.values[size_t(sum.inputs[1])].shape))
      continue;
    // The later of two layers: everything the sum needs is there by then.
    const int a = layer_into(graph, k, 0), b = layer_into(graph, k, 1);
    const int side = b > a ? 1 : 0, at = std::max(a, b);
    if (at < 0) continue;
    GraphNode layer = graph.nodes[size_t(at)];
    if (layer.inputs.size() == 2) {
      const GraphValue& w = graph.values[size_t(layer.inputs[1])];
      layer.inputs.push_back(
          add_constant(graph, layer.name + "/no_bias", Tensor::zeros({w.shape[0]})));
    }
    layer.op = is_op(layer, "conv2d") ? &conv2d_add_op() : &dense_add_op();
    layer.inputs.push_back(sum.inputs[size_t(1 - side)]);
    layer.outputs = sum.outputs;
    // In the sum's place, where the residual is made already.
    graph.nodes[size_t(k)] = std::move(layer);
    graph.remove_node(at);
    --k;
    ++fused;
  }
  graph.remove_unused();
  return fused;
}

}  // namespace pare
