// Convolutions of one input and one output channel a group. There is no product to speak of: each
// result is read for from a few neighbours, so neighbouring threads take neighbouring channels.
#pragma once

#include "core/conv_shape.h"
#include "cuda/host.h"

namespace pare::cuda {

inline bool is_depthwise(const ConvShape& s) { return s.groups == s.c && s.groups == s.o; }

template <class T>
void depthwise_forward(const ConvShape& s, const T* x, const T* w, const T* bias, bool relu, T* y);
template <class T>
void depthwise_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx, bool accumulate);
template <class T>
void depthwise_backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw, bool accumulate);

}  // namespace pare::cuda
