// Two-dimensional convolution on nhwc activations and OIHW weights, float and double, forward and
// both gradients. No im2col: an image is copied once into a zero-padded scratch image, in which
// each kernel row of a pixel's window is one contiguous run of (kw, c), and the register tile walks
// kernel rows straight through it.
#pragma once

#include <cstdint>

namespace pare::cpu {

struct ConvShape {
  int64_t n = 0, c = 0, h = 0, w = 0;  // input
  int64_t o = 0, kh = 0, kw = 0;       // filters: o x (c / groups) x kh x kw
  int64_t oh = 0, ow = 0;              // output
  int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
};

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
