#include "compress/ops.h"

#include "autograd/ops/builtin.h"

namespace pare {

void register_library_ops() {
  using Definition = const Op& (*)();
  static constexpr Definition definitions[] = {
      fake_quant_op, fake_quant_weight_op, fake_quant_dense_op, quantize_op,
      dequantize_op, int8_dense_op,        soft_target_loss_op};
  static const bool done = [] {
    register_builtin_ops();
    for (const Definition define : definitions) define();
    return true;
  }();
  (void)done;
}

}  // namespace pare
