// What a network must be before it is trained or compressed.
#pragma once

#include "autograd/graph.h"

namespace pare {

// Throws Error{usage} where every weight of two or more axes is zero, as layers are made: nothing
// but the last bias would learn. `what` begins the sentence. A layer of zeros beside others is
// fine, and so are a network without such weights and one with masks. A single weight learns from
// zeros, since no gradient has to pass through it: training allows `may_be_zero` of them, one.
void check_initialized(Module& network, const char* what, int may_be_zero = 0);

// Throws Error{bad_input} where a layer computes in integers, through which no gradient passes.
void check_differentiable(const Graph& graph, const char* what);

}  // namespace pare
