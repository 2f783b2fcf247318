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

// Elementwise; any shape and format.
Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);  // natural; -inf at 0, NaN below
Tensor sqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor abs(const Tensor& x);  // gradient 0 at 0
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor gelu(const Tensor& x);  // tanh form
Tensor silu(const Tensor& x);  // x sigmoid(x)
Tensor clamp(const Tensor& x, double low, double high);
Tensor add_scalar(const Tensor& x, double scalar);
Tensor mul_scalar(const Tensor& x, double scalar);

}  // namespace pare
