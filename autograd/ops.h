// The public functions: one documented line each. Shapes are logical (NCHW); every function returns
// a new tensor and leaves its inputs alone.
#pragma once

#include "autograd/op.h"
#include "autograd/param.h"

namespace pare {

// The same elements under another shape (C order); -1 in one place is worked out.
Tensor reshape(const Tensor& x, const Ints& shape);
// All axes from `first_axis` on as one.
Tensor flatten(const Tensor& x, int first_axis = 1);

}  // namespace pare
