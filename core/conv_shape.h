// Sizes of a two-dimensional convolution, read from a kernel's arguments.
#pragma once

#include "core/backend.h"

namespace pare {

struct ConvShape {
  int64_t n = 0, c = 0, h = 0, w = 0;  // input
  int64_t o = 0, kh = 0, kw = 0;       // filters: o x (c / groups) x kh x kw
  int64_t oh = 0, ow = 0;              // output
  int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
};

// Of conv2d's kernels; `y` is the output or its gradient.
inline ConvShape conv_shape(const KernelArgs& args, const TensorArg& y) {
  const TensorArg &x = args.inputs[0], &w = args.inputs[1];
  ConvShape s;
  s.n = x.dims[0], s.c = x.dims[1], s.h = x.dims[2], s.w = x.dims[3];
  s.o = w.dims[0], s.kh = w.dims[2], s.kw = w.dims[3];
  s.oh = y.dims[2], s.ow = y.dims[3];
  s.stride_h = s.stride_w = args.attrs->integer("stride");
  s.pad_h = s.pad_w = args.attrs->integer("padding");
  s.dilation_h = s.dilation_w = args.attrs->integer("dilation");
  s.groups = args.attrs->integer("groups");
  return s;
}

}  // namespace pare
