// Calibration: which range each value of a graph takes on sample data.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "autograd/graph.h"

namespace pare {

struct ObservedRange {
  float low = 0, high = 0;  // both 0 until something was seen
};

// Smallest and largest element of every floating-point value of the graph (its input included), by
// the value's name, over the given batches; evaluation mode. Throws Error{bad_input} where there is
// no batch, or a value is not finite (naming it).
std::map<std::string, ObservedRange> calibrate(Graph& graph, const std::vector<Tensor>& batches);

}  // namespace pare
