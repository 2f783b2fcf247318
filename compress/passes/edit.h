// What the passes share: questions about values, and constants.
#pragma once

#include <string_view>

#include "autograd/graph.h"

namespace pare::passes {

inline bool is_op(const GraphNode& node, std::string_view name) { return node.op->name == name; }
// The one node that reads `value`, or -1: none, several, or the value is an output of the graph.
int only_reader(const Graph& graph, int value);
// The value of a parameter (transforms and soft masks applied) or a constant, plain; else empty.
Tensor known_tensor(const Graph& graph, int value);
int add_constant(Graph& graph, const std::string& name, const Tensor& tensor);

}  // namespace pare::passes
