// What criteria that need data look at: 512 training examples, the same for every seed.
#pragma once

#include "datasets/loader.h"

namespace pare::tool {

std::vector<Batch> pruning_sample(const Dataset& data);

}  // namespace pare::tool
