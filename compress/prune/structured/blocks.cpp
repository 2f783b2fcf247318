#include "compress/prune/structured/blocks.h"

#include <algorithm>
#include <cmath>

#include "autograd/blame.h"
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

// Whether computing `value` reads `from`.
std::vector<bool> ancestors(const Graph& graph, int value) {
  std::vector<bool> needed(graph.values.size());
  needed[size_t(value)] = true;
  for (size_t k = graph.nodes.size(); k-- > 0;) {
    const GraphNode& n = graph.nodes[k];
    if (std::none_of(n.outputs.begin(), n.outputs.end(), [&](int v) { return needed[size_t(v)]; }))
      continue;
    for (const int v : n.inputs) needed[size_t(v)] = true;
  }
  return needed;
}

bool is_relu(const GraphNode& node) {
  return std::string_view(node.op->name) == "relu" ||
         (node.attrs.has("relu") && node.attrs.integer("relu"));
}

void remove_dead_nodes(Graph& graph) {
  std::vector<bool> needed(graph.values.size());
  for (const int out : graph.outputs) {
    const std::vector<bool> n = ancestors(graph, out);
    for (size_t v = 0; v < n.size(); ++v) needed[v] = needed[v] || n[v];
  }
  for (size_t k = graph.nodes.size(); k-- > 0;) {
    const auto& outs = graph.nodes[k].outputs;
    if (std::none_of(outs.begin(), outs.end(), [&](int v) { return needed[size_t(v)]; }))
      graph.remove_node(int(k));
  }
  graph.remove_unused();
}

// What the names of the nodes between shortcut and sum have in common: "stage1.block2".
std::string block_name(const Graph& graph, const GraphNode& sum, int branch) {
  const auto scope = [](const std::string& name) { return name.substr(0, name.rfind('/')); };
  std::string name = scope(sum.name);
  const int maker = graph.producer(branch);
  const std::string other = maker < 0 ? name : scope(graph.nodes[size_t(maker)].name);
  const auto [a, b] = std::mismatch(name.begin(), name.end(), other.begin(), other.end());
  if (a == name.end() && b == other.end()) return sum.name;
  name.resize(size_t(a - name.begin()));
  const size_t cut = name.find_last_of("./");
  return cut == std::string::npos || cut == 0 ? sum.name : name.substr(0, cut);
}

double cross_entropy(Graph& graph, const std::vector<Batch>& batches) {
  double sum = 0;
  for (const Batch& b : batches)
    sum += softmax_cross_entropy(graph(b.images, Mode::eval), b.labels).item();
  return sum / double(batches.size());
}

}  // namespace

std::vector<ResidualBlock> residual_blocks(const Graph& graph) {
  std::vector<ResidualBlock> blocks;
  for (const GraphNode& node : graph.nodes) {
    int first = -1, second = -1;
    if (node.op == &add_op()) first = 0, second = 1;
    if (node.op == &batch_norm_op() && node.inputs.size() == 4) first = 0, second = 3;
    if (first < 0) continue;
    const auto value = [&](int i) { return node.inputs[size_t(i)]; };
    for (const auto& [branch, shortcut] : {std::pair(first, second), std::pair(second, first)}) {
      // The residual of a norm is not scaled by it, so only that can be the shortcut.
      if (node.op == &batch_norm_op() && shortcut != 3) continue;
      const int around = value(shortcut);
      if (value(branch) == around ||
          !(graph.values[size_t(around)].shape == graph.values[size_t(node.outputs[0])].shape) ||
          !ancestors(graph, value(branch))[size_t(around)])
        continue;
      blocks.push_back({block_name(graph, node, value(branch)), node.name, branch, shortcut});
      break;
    }
  }
  return blocks;
}

Graph without_block(const Graph& graph, const ResidualBlock& block) {
  Graph g = graph.share();
  const int k = g.find_node(block.node);
  check(k >= 0, "no node is named '{}'", block.node);
  const GraphNode sum = g.nodes[size_t(k)];
  check(block.shortcut >= 0 && block.shortcut < int(sum.inputs.size()),
        "'{}' has {} inputs, its shortcut cannot be input {}", block.node, sum.inputs.size(),
        block.shortcut);
  const int y = sum.outputs[0], x = sum.inputs[size_t(block.shortcut)];
  const int maker = g.producer(x);
  g.remove_node(k);
  if (is_relu(sum) && !(maker >= 0 && is_relu(graph.nodes[size_t(maker)]))) {
    GraphNode relu_node;
    relu_node.op = find_op("relu");
    relu_node.name = sum.name;
    relu_node.inputs = {x};
    relu_node.outputs = {y};
    g.insert_node(k, relu_node);
  } else {
    g.replace_uses(y, x, k);
  }
  remove_dead_nodes(g);
  return g;
}

std::vector<RemovedBlock> prune_blocks(Graph& graph, const std::vector<Batch>& batches, int count) {
  check(!batches.empty(), "prune: no data to judge blocks by");
  const auto all = residual_blocks(graph);
  check(count >= 0 && count <= int(all.size()),
        "prune: {} blocks to remove, the network has {} with an identity shortcut", count,
        all.size());
  for (const Batch& b : batches) check_answer(graph, b.images, graph(b.images, Mode::eval));
  std::vector<RemovedBlock> removed;
  for (int i = 0; i < count; ++i) {
    RemovedBlock least;
    Graph best;
    for (const ResidualBlock& b : residual_blocks(graph)) {
      Graph candidate = without_block(graph, b);
      const double loss = cross_entropy(candidate, batches);
      if (!least.name.empty() && !(loss < least.loss) && !std::isnan(least.loss)) continue;
      least = {b.name, loss};
      best = std::move(candidate);
    }
    check(!least.name.empty(), "prune: {} of {} blocks removed, none is left", i, count);
    removed.push_back(least);
    graph = std::move(best);
    graph.changed();
  }
  return removed;
}

}  // namespace pare
