// A picture of a graph in Graphviz's DOT language: `dot -Tsvg FILE` draws it.
#pragma once

#include <string>

#include "autograd/graph.h"

namespace pare {

// One box a node (name, op, shapes of its parameters and constants, share of zeros where there are
// any), one arrow a value, labelled with its shape; N is the batch.
std::string to_dot(const Graph& graph);

}  // namespace pare
