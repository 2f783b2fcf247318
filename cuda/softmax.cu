// Kernel rows of softmax and log_softmax over the last axis: one warp a row.
#include <iterator>

#include "cuda/device.h"
#include "cuda/rows.h"
#include "cuda/warp_rows.h"

namespace pare::cuda {
namespace {

template <bool logarithm, class T>
PARE_KERNEL void forward_kernel(const T* x, T* y, int64_t rows, int64_t n) {
  over_rows(rows, [&](int64_t r) {
    const T* in = x + r * n;
    const LogSum<T> s = log_sum(in, n, T(1));
    const T shift = s.top + s.log_of_sum;
    for (int64_t j = lane(); j < n; j += warp_size)
      y[r * n + j] = logarithm ? in[j] - shift : math::exp(in[j] - s.top) / s.sum;
  });
}

// softmax: dx = y (dy - sum of dy y); log_softmax: dx = dy - exp(y) sum of dy.
template <bool logarithm, class T>
PARE_KERNEL void backward_kernel(const T* y, const T* dy, T* dx, int64_t rows, int64_t n,
                                 bool accumulate) {
  over_rows(rows, [&](int64_t r) {
    const T *p = y + r * n, *g = dy + r * n;
    T sum = T(0);
    for (int64_t j = lane(); j < n; j += warp_size) sum += logarithm ? g[j] : g[j] * p[j];
    sum = warp_sum(sum);
    for (int64_t j = lane(); j < n; j += warp_size) {
      const T d = logarithm ? g[j] - math::exp(p[j]) * sum : p[j] * (g[j] - sum);
      T& to = dx[r * n + j];
      to = accumulate ? to + d : d;
    }
  });
}

template <bool logarithm>
Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const int64_t n = x.dims[x.rank - 1], rows = x.elements / n;
  return for_float(x.dtype, [&]<class T>(T) {
    launch_over_rows(forward_kernel<logarithm, T>, rows, x.as<T>(), y.as<T>(), rows, n);
  });
}

template <bool logarithm>
Status backward(const KernelArgs& args) {
  const TensorArg &y = args.outputs[0], &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  const int64_t n = y.dims[y.rank - 1], rows = y.elements / n;
  return for_float(dx.dtype, [&]<class T>(T) {
    launch_over_rows(backward_kernel<logarithm, T>, rows, y.as<T>(), dy.as<T>(), dx.as<T>(), rows,
                     n, args.accumulate[0]);
  });
}

constexpr KernelRow rows[] = {
    {"softmax.forward", 1, guarded<forward<false>>},
    {"softmax.backward", 1, guarded<backward<false>>},
    {"log_softmax.forward", 1, guarded<forward<true>>},
    {"log_softmax.backward", 1, guarded<backward<true>>},
};

}  // namespace

KernelList softmax_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
