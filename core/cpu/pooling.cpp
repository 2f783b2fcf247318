// Kernel rows of the pooling ops, over nhwc storage: channels are innermost, so that each window
// becomes a few passes over runs of channels.
#include <cstring>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/kernels/kernels.h"
#include "core/thread_pool.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

// Calls f(first input element, first output element) for the channels of each window.
template <class F>
void over_windows(const TensorArg& x, const TensorArg& y, int64_t image, int64_t stride, F&& f) {
  const int64_t c = y.dims[1], oh = y.dims[2], ow = y.dims[3], h = x.dims[2], w = x.dims[3];
  for (int64_t i = 0; i < oh; ++i)
    for (int64_t j = 0; j < ow; ++j)
      f(((image * h + i * stride) * w + j * stride) * c, ((image * oh + i) * ow + j) * c);
}

Status max_pool2d_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const int64_t kernel = args.attrs->integer("kernel"), stride = args.attrs->integer("stride");
  return for_float(x.dtype, [&]<class T>(T) {
    const int64_t c = x.dims[1], x_row = x.dims[3] * c, h = x.dims[2];
    const int64_t oh = y.dims[2], ow = y.dims[3];
    parallel_for(x.dims[0], [&](int64_t n) {
      for (int64_t i = 0; i < oh; ++i)
        loops<T>().max_pool_row(x.as<T>() + (n * h + i * stride) * x_row, x_row, kernel, stride, ow,
                                c, y.as<T>() + (n * oh + i) * ow * c);
    });
  });
}

Status max_pool2d_backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0], &dx = args.grad_inputs[0];
  const int64_t kernel = args.attrs->integer("kernel"), stride = args.attrs->integer("stride");
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    const int64_t c = x.dims[1], x_row = x.dims[3] * c, h = x.dims[2];
    const int64_t oh = y.dims[2], ow = y.dims[3];
    const bool disjoint = stride >= kernel, accumulate = args.accumulate[0];
    const bool covered = stride == kernel && oh * stride == h && ow * stride == x.dims[3];
    parallel_for(x.dims[0], [&](int64_t n) {
      T* image = dx.as<T>() + n * h * x_row;
      if (!accumulate && !covered) std::memset(image, 0, size_t(h * x_row) * sizeof(T));
      for (int64_t i = 0; i < oh; ++i) {
        const int64_t in = (n * h + i * stride) * x_row, out = (n * oh + i) * ow * c;
        loops<T>().max_pool_row_gradient(x.as<T>() + in, x_row, kernel, stride, ow, c,
                                         y.as<T>() + out, args.grad_outputs[0].as<T>() + out,
                                         dx.as<T>() + in, accumulate || !disjoint);
      }
    });
  });
}

// y += `count` runs of c channels, one after another.
template <class T>
void sum_runs(const T* x, int64_t count, int64_t c, T* y) {
  for (int64_t i = 0; i < count; ++i, x += c)
    for (int64_t k = 0; k < c; ++k) y[k] += x[k];
}

Status avg_pool2d_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const int64_t kernel = args.attrs->integer("kernel"), stride = args.attrs->integer("stride");
  return for_float(x.dtype, [&]<class T>(T) {
    const int64_t c = x.dims[1], row = x.dims[3] * c;
    const T share = T(1) / (T(kernel) * T(kernel));
    parallel_for(x.dims[0], [&](int64_t n) {
      over_windows(x, y, n, stride, [&](int64_t in, int64_t out) {
        T* to = y.as<T>() + out;
        for (int64_t k = 0; k < c; ++k) to[k] = T(0);
        for (int64_t a = 0; a < kernel; ++a) sum_runs(x.as<T>() + in + a * row, kernel, c, to);
        for (int64_t k = 0; k < c; ++k) to[k] *= share;
      });
    });
  });
}

Status avg_pool2d_backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  const int64_t kernel = args.attrs->integer("kernel"), stride = args.attrs->integer("stride");
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    const int64_t c = dx.dims[1], row = dx.dims[3] * c, image = dx.dims[2] * row;
    const T share = T(1) / (T(kernel) * T(kernel));
    parallel_for(dx.dims[0], [&](int64_t n) {
      if (!args.accumulate[0]) std::memset(dx.as<T>() + n * image, 0, size_t(image) * sizeof(T));
      over_windows(dx, dy, n, stride, [&](int64_t in, int64_t out) {
        const T* g = dy.as<T>() + out;
        for (int64_t a = 0; a < kernel; ++a)
          for (int64_t b = 0; b < kernel; ++b) {
            T* to = dx.as<T>() + in + a * row + b * c;
            for (int64_t k = 0; k < c; ++k) to[k] += g[k] * share;
          }
      });
    });
  });
}

Status global_avg_pool_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    const int64_t c = x.dims[1], pixels = x.dims[2] * x.dims[3];
    parallel_for(x.dims[0], [&](int64_t n) {
      T* to = y.as<T>() + n * c;
      for (int64_t k = 0; k < c; ++k) to[k] = T(0);
      sum_runs(x.as<T>() + n * pixels * c, pixels, c, to);
      for (int64_t k = 0; k < c; ++k) to[k] /= T(pixels);
    });
  });
}

Status global_avg_pool_backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    const int64_t c = dx.dims[1], pixels = dx.dims[2] * dx.dims[3];
    parallel_for(dx.dims[0], [&](int64_t n) {
      const T* g = dy.as<T>() + n * c;
      T* to = dx.as<T>() + n * pixels * c;
      for (int64_t p = 0; p < pixels; ++p, to += c)
        for (int64_t k = 0; k < c; ++k) {
          const T share = g[k] / T(pixels);
          to[k] = args.accumulate[0] ? to[k] + share : share;
        }
    });
  });
}

constexpr KernelRow rows[] = {{"max_pool2d.forward", 1, max_pool2d_forward},
                              {"max_pool2d.backward", 1, max_pool2d_backward},
                              {"avg_pool2d.forward", 1, avg_pool2d_forward},
                              {"avg_pool2d.backward", 1, avg_pool2d_backward},
                              {"global_avg_pool.forward", 1, global_avg_pool_forward},
                              {"global_avg_pool.backward", 1, global_avg_pool_backward}};

}  // namespace

KernelList pooling_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
