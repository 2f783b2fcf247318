#include "compress/batch_norm.h"

#include <algorithm>

#include "datasets/loader.h"

namespace pare {
namespace {

bool is_batch_norm(const GraphNode& node) {
  return std::string_view(node.op->name) == "batch_norm";
}

}  // namespace

int reestimate_batch_norm(Graph& graph, const Dataset& data, const ReestimateOptions& options) {
  const auto count = std::count_if(graph.nodes.begin(), graph.nodes.end(), is_batch_norm);
  if (count == 0) return 0;
  check(options.batches >= 1 && options.batch >= 2,
        "batch norms need at least one batch of two images, not {} of {}", options.batches,
        options.batch);
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
      if (is_batch_norm(node)) node.attrs.set("momentum", 1.0 / double(k));
    const RunKeyScope key({options.seed, uint64_t(k)});
    copy(batch.images.to(device), Mode::train);
  }
  for (const GraphNode& node : graph.nodes)
    for (const int b : is_batch_norm(node) ? node.buffers : std::vector<int>{})
      graph.buffers[size_t(b)].buffer.value().copy_from(copy.buffers[size_t(b)].buffer.value());
  return int(count);
}

}  // namespace pare
