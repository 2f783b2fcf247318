// The list of built-in ops. An op's file defines one function that registers it once and returns
// it; the list calls them all, so that files and graphs find every op by name.
#pragma once

#include "autograd/op.h"

namespace pare {

const Op& reshape_op();
const Op& masked_op();
const Op& dense_op();
const Op& conv2d_op();
const Op& max_pool2d_op();
const Op& softmax_cross_entropy_op();
const Op& batch_norm_op();
const Op& dropout_op();
const Op& add_op();
const Op& sub_op();
const Op& mul_op();
const Op& div_op();
const Op& sum_op();
const Op& mean_op();
const Op& max_op();
const Op& softmax_op();
const Op& log_softmax_op();
const Op& transpose_op();
const Op& slice_op();
const Op& pad_op();
const Op& concat_op();
const Op& split_op();
const Op& avg_pool2d_op();
const Op& global_avg_pool_op();
void register_pointwise_ops();

void register_builtin_ops();
// Those and the ops of the rooms above autograd; defined where all are known (compress/ops.cpp).
void register_library_ops();

}  // namespace pare
