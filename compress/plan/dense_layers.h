// Which layers of a pruned network run dense although they hold zeros, and why.
#pragma once

#include "compress/plan/plan.h"

namespace pare {

struct DenseLayer {
  std::string node;
  double zeros = 0;  // share of its weight
  std::string why;   // "measured, no sparse kernel is faster there"
};

// `layers`: what a plan of `graph` says of itself.
std::vector<DenseLayer> dense_layers_with_zeros(const Graph& graph, const SparseLayers& layers);

}  // namespace pare
