#include "compress/passes/edit.h"
#include "compress/passes/passes.h"

namespace pare {

int fuse_activation(Graph& graph) {
  int fused = 0;
  for (int k = 0; k < int(graph.nodes.size()); ++k) {
    const GraphNode& relu = graph.nodes[size_t(k)];
    if (!passes::is_op(relu, "relu")) continue;
    const int from = relu.inputs[0], to = relu.outputs[0], at = graph.producer(from);
    if (at < 0 || passes::only_reader(graph, from) != k) continue;
    GraphNode& layer = graph.nodes[size_t(at)];
    if (!layer.attrs.has("relu") ||
        !(passes::is_op(layer, "conv2d") || passes::is_op(layer, "dense") ||
          layer.op == &conv2d_add_op() || layer.op == &dense_add_op()))
      continue;
    layer.attrs.set("relu", true);
    graph.remove_node(k--);
    graph.replace_uses(to, from);
    ++fused;
  }
  graph.remove_unused();
  return fused;
}

}  // namespace pare
