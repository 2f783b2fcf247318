// Random networks for property tests: residual sums, concat, split, slices and pads of channels,
// depthwise and grouped convolution, channel shuffle, squeeze and excitation, batch norm with and
// without a residual, pooling, flatten, tied layers, and heads of dense layers. One seed gives one
// network.
#pragma once

#include <memory>

#include "autograd/module.h"

namespace pare::testing {

struct RandomNetOptions {
  int steps = 12;
  bool dropout = false;
};
// For inputs [n, 3, 8, 8] and 4 classes; parameters and running statistics are random too.
std::unique_ptr<Module> random_net(uint64_t seed, const RandomNetOptions& options = {});

}  // namespace pare::testing
