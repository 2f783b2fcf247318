#include "tools/prune_sample.h"

namespace pare::tool {

std::vector<Batch> pruning_sample(const Dataset& data) {
  const Split split = hold_out(data.train, data.holdout);
  Loader loader(split.train, data.preprocessing,
                {.batch = 64, .seed = 1, .augment = {}, .indices = split.train_indices});
  std::vector<Batch> batches(8);
  size_t n = 0;
  while (n < batches.size() && loader.next(batches[n])) ++n;
  batches.resize(n);
  return batches;
}

}  // namespace pare::tool
