// conv2d as implicit matrix products on nhwc images and oihw filters, a file a direction, which
// compile side by side:
//   forward         y[pixel][o]      = sum over (a, b, c) of x[window of pixel] w[o][c][a][b]
//   data gradient   dx[pixel][c]     = sum over (a, b, o) of dy[pixels that saw it] w[o][c][a][b]
//   weight gradient dw[o][(a, b, c)] = sum over pixels of dy[pixel][o] x[window of pixel]
// T is float or double. Precision counts for float where the device has tensor cores.
#pragma once

#include "core/conv_shape.h"
#include "cuda/host.h"

namespace pare::cuda {

template <class T>
void conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, bool relu, T* y,
                  Precision precision);
template <class T>
void conv_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx, bool accumulate,
                        Precision precision);
template <class T>
void conv_backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw, bool accumulate,
                          Precision precision);

}  // namespace pare::cuda
