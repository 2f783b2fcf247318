// Kernel rows of dense: three matrix products, with bias and ReLU fused into the first.
#include <iterator>

#include "cuda/gemm.h"
#include "cuda/masked_sums.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &w = args.inputs[1], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    Gemm<T> g;
    g.m = x.dims[0], g.n = w.dims[0], g.k = w.dims[1];
    g.a = x.as<T>();
    g.b = w.as<T>(), g.b_transposed = true;
    g.c = y.as<T>();
    g.bias = args.inputs[2].as<T>();
    g.relu = args.attrs->integer("relu");
    g.precision = args.precision;
    gemm(g);
  });
}

Status backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &w = args.inputs[1], &dy = args.grad_outputs[0];
  const TensorArg* grads = args.grad_inputs;
  return for_float(dy.dtype, [&]<class T>(T) {
    const int64_t n = dy.dims[0], out = w.dims[0], in = w.dims[1];
    const T* y = args.attrs->integer("relu") ? args.outputs[0].as<T>() : nullptr;
    Gemm<T> product;
    product.a = unmask(dy.as<T>(), y, n, out, grads[2].as<T>(), args.accumulate[2]);
    product.n = in;
    product.precision = args.precision;
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

constexpr KernelRow rows[] = {{"dense.forward", 1, guarded<forward>},
                              {"dense.backward", 1, guarded<backward>}};

}  // namespace

KernelList dense_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
