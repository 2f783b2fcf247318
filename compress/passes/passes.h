// Rewrites of a graph for evaluation. Each keeps what the graph computes in eval mode, up to
// rounding, and leaves every node it does not know alone; what comes out is a graph again, which
// runs and saves like any other. Training such a graph is not the same as training the original.
#pragma once

#include "autograd/graph.h"

namespace pare {

// conv2d or dense, then batch_norm: the norm's scale and shift move into the weights,
//   w'[o] = w[o] s[o],  b'[o] = (b[o] - mean[o]) s[o] + beta[o],  s = gamma / sqrt(var + epsilon).
// The norm's residual becomes an add and its ReLU a relu node, unless the layer takes the ReLU.
// Returns how many norms went. Only float32 layers whose weights are parameters or constants and
// whose result nothing else reads are folded.
int fold_batch_norm(Graph& graph);

// conv2d, dense or their residual forms, then relu: the layer applies it itself.
int fuse_activation(Graph& graph);

// conv2d or dense, then add of a tensor of the same shape: conv2d_add or dense_add, ops of four
// inputs (x, weight, bias, residual) whose ReLU comes after the sum.
int fuse_residual(Graph& graph);

// The ops fuse_residual makes.
const Op& conv2d_add_op();
const Op& dense_add_op();

}  // namespace pare
