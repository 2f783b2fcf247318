// Depth: whole residual blocks. In y = act(branch(x) + x) the branch can go, which leaves y =
// act(x).
#pragma once

#include <string>
#include <vector>

#include "autograd/graph.h"
#include "datasets/loader.h"

namespace pare {

// A sum with an identity shortcut: an add, or the residual of a batch norm.
struct ResidualBlock {
  std::string name;                // of what its nodes share
  std::string node;                // that adds
  int branch = -1, shortcut = -1;  // which inputs of that node
};
// In order. Sums whose shortcut is not an input of the branch (a projection, or a strided slice)
// are none.
std::vector<ResidualBlock> residual_blocks(const Graph& graph);

// The graph without the block's branch; tensors are shared with `graph`. Throws Error{usage} where
// no node has the block's name, or not such inputs.
Graph without_block(const Graph& graph, const ResidualBlock& block);

struct RemovedBlock {
  std::string name;
  double loss = 0;  // mean cross entropy of the batches after it went
};
// Removes `count` blocks, one at a time: the one without which the cross entropy of the labelled
// batches is least (evaluation mode). Throws Error{usage} where the network has fewer blocks, and
// without batches; Error{bad_input} where its answers are not finite.
std::vector<RemovedBlock> prune_blocks(Graph& graph, const std::vector<Batch>& batches, int count);

}  // namespace pare
