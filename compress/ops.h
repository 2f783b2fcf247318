// The list of the ops that compression brings: quantization and distillation. autograd's registry
// asks for it through register_library_ops(), so that files find every op of the library by name.
#pragma once

#include "autograd/op.h"

namespace pare {

const Op& fake_quant_op();
const Op& fake_quant_weight_op();
const Op& fake_quant_dense_op();
const Op& quantize_op();
const Op& dequantize_op();
const Op& int8_dense_op();
const Op& soft_target_loss_op();

}  // namespace pare
