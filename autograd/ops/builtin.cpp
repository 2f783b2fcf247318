#include "autograd/ops/builtin.h"

namespace pare {

void register_builtin_ops() {
  using Definition = const Op& (*)();
  static constexpr Definition definitions[] = {
      reshape_op,    masked_op,  dense_op,  conv2d_op,  max_pool2d_op,  softmax_cross_entropy_op,
      batch_norm_op, dropout_op, add_op,    sub_op,     mul_op,         div_op,
      sum_op,        mean_op,    max_op,    softmax_op, log_softmax_op, transpose_op,
      slice_op,      pad_op,     concat_op, split_op,   avg_pool2d_op,  global_avg_pool_op};
  static const bool done = [] {
    for (const Definition define : definitions) define();
    register_pointwise_ops();
    return true;
  }();
  (void)done;
}

}  // namespace pare
