// Kernel rows of conv2d: which kernels compute it, by its shape.
#include "cuda/conv.h"

#include <iterator>

#include "cuda/depthwise.h"
#include "cuda/masked_sums.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

Status forward(const KernelArgs& args) {
  const TensorArg& y = args.outputs[0];
  if (y.elements == 0) return Status::ok;
  return for_float(y.dtype, [&]<class T>(T) {
    const ConvShape s = conv_shape(args, y);
    const T *x = args.inputs[0].as<T>(), *w = args.inputs[1].as<T>();
    const T* bias = args.input_count > 2 ? args.inputs[2].as<T>() : nullptr;
    const bool relu = args.attrs->integer("relu");
    if (is_depthwise(s))
      depthwise_forward(s, x, w, bias, relu, y.as<T>());
    else
      conv_forward(s, x, w, bias, relu, y.as<T>(), args.precision);
  });
}

Status backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], *grads = args.grad_inputs;
  return for_float(dy.dtype, [&]<class T>(T) {
    const ConvShape s = conv_shape(args, dy);
    const T *x = args.inputs[0].as<T>(), *w = args.inputs[1].as<T>();
    const T* y = args.attrs->integer("relu") ? args.outputs[0].as<T>() : nullptr;
    const bool bias = args.input_count > 2;
    const T* g = unmask(dy.as<T>(), y, s.n * s.oh * s.ow, s.o, bias ? grads[2].as<T>() : nullptr,
                        bias && args.accumulate[2]);
    T *dx = grads[0].as<T>(), *dw = grads[1].as<T>();
    const bool add_dx = args.accumulate[0], add_dw = args.accumulate[1];
    if (is_depthwise(s)) {
      if (dx) depthwise_backward_data(s, g, w, dx, add_dx);
      if (dw) depthwise_backward_weight(s, x, g, dw, add_dw);
    } else {
      if (dx) conv_backward_data(s, g, w, dx, add_dx, args.precision);
      if (dw) conv_backward_weight(s, x, g, dw, add_dw, args.precision);
    }
  });
}

constexpr KernelRow rows[] = {{"conv2d.forward", 1, guarded<forward>},
                              {"conv2d.backward", 1, guarded<backward>}};

}  // namespace

KernelList conv_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
