// Kernel rows of the ops networks are made of: dense, conv2d.
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/conv.h"
#include "core/cpu/gemm.h"
#include "core/cpu/kernels/loops.h"
#include "core/cpu/scratch.h"
#include "core/cpu/unmask.h"
#include "core/math.h"
#include "core/thread_pool.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

Status dense_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &w = args.inputs[1], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    GemmArgs<T> g;
    g.m = x.dims[0], g.n = w.dims[0], g.k = w.dims[1];
    g.a = x.as<T>(), g.lda = g.k;
    g.b = w.as<T>(), g.ldb = g.k, g.b_transposed = true;
    g.c = y.as<T>(), g.ldc = g.n;
    g.bias = args.inputs[2].as<T>();
    g.relu = args.attrs->integer("relu");
    gemm(g);
  });
}

Status dense_backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &w = args.inputs[1], &dy = args.grad_outputs[0];
  const TensorArg* grads = args.grad_inputs;
  return for_float(dy.dtype, [&]<class T>(T) {
    const int64_t n = dy.dims[0], out = w.dims[0], in = w.dims[1];
    const T* y = args.attrs->integer("relu") ? args.outputs[0].as<T>() : nullptr;
    Scratch scratch;
    const T* g = unmask(scratch, dy.as<T>(), y, n, out, grads[2].as<T>(), args.accumulate[2]);
    GemmArgs<T> product;
    product.a = g, product.lda = out;
    product.n = in, product.ldc = in, product.ldb = in;
    if (grads[0].data) {
      product.m = n, product.k = out;
      product.b = w.as<T>(), product.c = grads[0].as<T>();
      product.accumulate = args.accumulate[0];
      gemm(product);
    }
    if (grads[1].data) {
      product.m = out, product.k = n;
      product.a_transposed = true;
      product.b = x.as<T>(), product.c = grads[1].as<T>();
      product.accumulate = args.accumulate[1];
      gemm(product);
    }
  });
}

Status conv2d_forward(const KernelArgs& args) {
  const TensorArg& y = args.outputs[0];
  return for_float(y.dtype, [&]<class T>(T) {
    conv_forward(conv_shape(args, y), args.inputs[0].as<T>(), args.inputs[1].as<T>(),
                 args.input_count > 2 ? args.inputs[2].as<T>() : nullptr,
                 bool(args.attrs->integer("relu")), y.as<T>());
  });
}

Status conv2d_backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], *grads = args.grad_inputs;
  return for_float(dy.dtype, [&]<class T>(T) {
    const ConvShape s = conv_shape(args, dy);
    const T* y = args.attrs->integer("relu") ? args.outputs[0].as<T>() : nullptr;
    const bool bias = args.input_count > 2;
    Scratch scratch;
    const T* g = unmask(scratch, dy.as<T>(), y, s.n * s.oh * s.ow, s.o,
                        bias ? grads[2].as<T>() : nullptr, bias && args.accumulate[2]);
    if (grads[0].data)
      conv_backward_data(s, g, args.inputs[1].as<T>(), grads[0].as<T>(), args.accumulate[0]);
    if (grads[1].data)
      conv_backward_weight(s, args.inputs[0].as<T>(), g, grads[1].as<T>(), args.accumulate[1]);
  });
}

constexpr KernelRow rows[] = {
    {"dense.forward", 1, dense_forward},
    {"dense.backward", 1, dense_backward},
    {"conv2d.forward", 1, conv2d_forward},
    {"conv2d.backward", 1, conv2d_backward},
};

}  // namespace

KernelList network_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
