// Two-dimensional convolution on nhwc activations and OIHW weights, float and double, forward and
// both gradients. No im2col: an image is copied once into a zero-padded scratch image, in which
// each kernel row of a pixel's window is one contiguous run of (kw, c), and the register tile walks
// kernel rows straight through it.
#pragma once

#include <cstdint>

#include "core/conv_shape.h"

namespace pare::cpu {

// y = conv(x, w) + bias (may be null), then ReLU if asked.
template <class T>
void conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, bool relu, T* y);
// dx (+)= gradient with respect to x.
template <class T>
void conv_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx, bool accumulate);
// dw (+)= gradient with respect to w. The batch is cut into a fixed number of parts that are summed
// in order.
template <class T>
void conv_backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw, bool accumulate);

}  // namespace pare::cpu
