#include "compress/batch_norm.h"

#include <algorithm>

#include "datasets/loader.h"
#include "optim/model_facts.h"

namespace pare {
namespace {

bool has_statistics(const GraphNode& node) {
  return is_norm(node) && !node.buffers.empty() && node.attrs.has("momentum");
}

}  // namespace

bool is_norm(const GraphNode& node) {
  return node.op->coupling == Coupling::per_channel && node.inputs.size() >= 3;
}

int reestimate_batch_norm(Graph& graph, const Dataset& data, const ReestimateOptions& options) {
  const auto count = std::count_if(graph.nodes.begin(), graph.nodes.end(), has_statistics);
  if (count == 0) return 0;
  check(options.batches >= 1 && options.batch >= 2,
        "batch norms need at least one batch of two images, not {} of {}", options.batches,
        options.batch);
  check_preprocessing(graph, data.preprocessing);
  // Train mode writes other buffers too (observed ranges), so it runs on a copy.
  Graph copy = graph.clone();
  const Device device = device_of(graph);
  const Examples train = hold_out(data.train, data.holdout).train;
  Loader loader(train, data.preprocessing,
                {.batch = options.batch,
                 .seed = options.seed,
                 .augment = {},
                 .drop_last = train.size() > options.batch});
  Batch batch;
  loader.start_epoch(0);
  for (int64_t k = 1; k <= options.batches && loader.next(batch); ++k) {
    for (GraphNode& node : copy.nodes)
      if (has_statistics(node)) node.attrs.set("momentum", 1.0 / double(k));
    const RunKeyScope key({options.seed, uint64_t(k)});
    copy(batch.images.to(device), Mode::train);
  }
  for (const GraphNode& node : graph.nodes)
    for (const int b : has_statistics(node) ? node.buffers : std::vector<int>{})
      graph.buffers[size_t(b)].buffer.value().copy_from(copy.buffers[size_t(b)].buffer.value());
  return int(count);
}

}  // namespace pare
