// Graphs in files: parameters, masks, transforms, buffers, constants and nodes, so that a model
// needs no program but pare to be loaded (docs/model-file.md).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/graph.h"
#include "core/container.h"

namespace pare {

// The model alone: no gradients, no optimizer slots. Written atomically.
void save_graph(const Graph& graph, const std::string& path);
// Of the file that save_graph writes.
uint64_t saved_bytes(const Graph& graph);
// Throws Error{bad_input} naming the file and what is wrong with it, an unknown op among others
// (then a plug-in may be missing).
Graph load_graph(const std::string& path);

// The same as part of a larger file: names are prefixed, so that several graphs fit in one.
struct GraphFileOptions {
  std::string prefix = {};
  bool slots = false;  // the optimizer's state too
  // What masks in the densest code, and the weights behind them, may take once they are read.
  // Masks beyond lie as bits. The default is what a reader grants to any file.
  size_t spread_bytes = size_t(1) << 30;
};
void add_graph(ContainerWriter& writer, const Graph& graph, const GraphFileOptions& options = {});
Graph read_graph(const Container& file, const std::string& prefix = {});

// How transforms come back from a file: a maker per kind, given the transform's own parameters in
// the order its visit() names them.
using TransformMaker =
    std::shared_ptr<Transform> (*)(const std::vector<std::pair<std::string, Param>>& parameters);
void register_transform(const std::string& kind, TransformMaker make);

}  // namespace pare
