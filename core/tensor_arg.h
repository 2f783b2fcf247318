// From tensors to the plain data kernels take.
#pragma once

#include "core/backend.h"
#include "core/tensor.h"

namespace pare {

TensorArg tensor_arg(const Tensor& t);  // an undefined tensor gives null data

}  // namespace pare
