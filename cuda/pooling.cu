// Kernel rows of the pooling ops, over nhwc storage: neighbouring threads take neighbouring
// channels. Gradients are gathered: each input element asks the windows that hold it, in order.
#include <iterator>

#include "cuda/columns.h"
#include "cuda/pixels.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

struct PoolSizes {
  int c, h, w, oh, ow, kernel, stride;
  PixelGrid input, output;
  PoolSizes(const TensorArg& x, const TensorArg& y, const Attrs& attrs)
      : c(int(x.dims[1])),
        h(int(x.dims[2])),
        w(int(x.dims[3])),
        oh(int(y.dims[2])),
        ow(int(y.dims[3])),
        kernel(int(attrs.integer("kernel"))),
        stride(int(attrs.integer("stride"))),
        input(h, w, c),
        output(oh, ow, c) {}
};

// First element of the window of output (i, j), and the window's elements from there.
PARE_DEVICE int64_t window_at(const PoolSizes& s, int64_t image, int i, int j, int c) {
  return ((image * s.h + int64_t(i) * s.stride) * s.w + int64_t(j) * s.stride) * s.c + c;
}
PARE_DEVICE int64_t in_window(const PoolSizes& s, int a, int b) {
  return (int64_t(a) * s.w + b) * s.c;
}

struct Max {
  template <class T>
  PARE_DEVICE static T forward(const PoolSizes& s, const T* window) {
    T top = window[0];
    for (int a = 0; a < s.kernel; ++a)
      for (int b = 0; b < s.kernel; ++b) {
        const T v = window[in_window(s, a, b)];
        top = v > top ? v : top;
      }
    return top;
  }
  // The gradient goes to the first of the largest elements.
  template <class T>
  PARE_DEVICE static T backward(const PoolSizes& s, const T* window, int a, int b, T top, T dy) {
    if (window[in_window(s, a, b)] != top) return T(0);
    for (int k = 0; k < a * s.kernel + b; ++k)
      if (window[in_window(s, k / s.kernel, k % s.kernel)] == top) return T(0);
    return dy;
  }
};
struct Average {
  template <class T>
  PARE_DEVICE static T forward(const PoolSizes& s, const T* window) {
    T sum = T(0);
    for (int a = 0; a < s.kernel; ++a)
      for (int b = 0; b < s.kernel; ++b) sum = sum + window[in_window(s, a, b)];
    return sum * (T(1) / T(s.kernel * s.kernel));
  }
  template <class T>
  PARE_DEVICE static T backward(const PoolSizes& s, const T*, int, int, T, T dy) {
    return dy * (T(1) / T(s.kernel * s.kernel));
  }
};

template <class Pool, class T>
PARE_KERNEL void forward_kernel(PoolSizes s, const T* x, T* y, int64_t elements) {
  for (int64_t e = global_x(); e < elements; e += grid_threads()) {
    const Pixel p = s.output.of_element(e);
    y[e] = Pool::forward(s, x + window_at(s, p.image, p.i, p.j, p.c));
  }
}
// x and y are null where the op does not save them.
template <class Pool, class T>
PARE_KERNEL void backward_kernel(PoolSizes s, const T* x, const T* y, const T* dy, T* dx,
                                 bool accumulate, int64_t elements) {
  for (int64_t e = global_x(); e < elements; e += grid_threads()) {
    const Pixel p = s.input.of_element(e);
    T sum = T(0);
    const auto first = [&](int at) { return at < s.kernel ? 0 : (at - s.kernel) / s.stride + 1; };
    for (int i = first(p.i); i < s.oh && i * s.stride <= p.i; ++i)
      for (int j = first(p.j); j < s.ow && j * s.stride <= p.j; ++j) {
        const int64_t out = ((p.image * s.oh + i) * s.ow + j) * s.c + p.c;
        const T* window = x ? x + window_at(s, p.image, i, j, p.c) : nullptr;
        sum = sum + Pool::backward(s, window, p.i - i * s.stride, p.j - j * s.stride,
                                   y ? y[out] : T(0), dy[out]);
      }
    dx[e] = accumulate ? dx[e] + sum : sum;
  }
}

template <class Pool>
Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    launch_over(forward_kernel<Pool, T>, y.elements, PoolSizes(x, y, *args.attrs), x.as<T>(),
                y.as<T>(), y.elements);
  });
}
template <class Pool>
Status backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    launch_over(backward_kernel<Pool, T>, dx.elements, PoolSizes(dx, dy, *args.attrs),
                args.inputs[0].as<T>(), args.outputs[0].as<T>(), dy.as<T>(), dx.as<T>(),
                args.accumulate[0], dx.elements);
  });
}

// One image a block: threads of a column take its pixels in turn.
template <class T>
PARE_KERNEL void global_average_kernel(const T* x, T* y, int64_t images, int pixels, int channels) {
  PARE_SHARED(T, sums, threads_per_block);
  for (int64_t n = block_y(); n < images; n += grid_height()) {
    const int c = block_x() * block_width() + thread_x();
    T sum = T(0);
    if (c < channels)
      for (int p = thread_y(); p < pixels; p += block_height())
        sum = sum + x[(n * pixels + p) * channels + c];
    sums[thread_number()] = sum;
    barrier();
    if (thread_y() == 0 && c < channels) {
      for (int i = 1; i < block_height(); ++i) sum = sum + T(sums[i * block_width() + thread_x()]);
      y[n * channels + c] = sum / T(pixels);
    }
    barrier();
  }
}
template <class T>
PARE_KERNEL void global_average_gradient_kernel(const T* dy, T* dx, int64_t elements,
                                                Divisor pixels, Divisor channels, bool accumulate) {
  for (int64_t e = global_x(); e < elements; e += grid_threads()) {
    const int64_t pixel = channels.divide(e), c = e - pixel * channels.value;
    const T share = dy[pixels.divide(pixel) * channels.value + c] / T(pixels.value);
    dx[e] = accumulate ? dx[e] + share : share;
  }
}

Status global_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    const int64_t images = x.dims[0], channels = x.dims[1], most = 65535;
    const int width = block_columns(channels);
    launch(global_average_kernel<T>, Dim(ceil_div(channels, width), images < most ? images : most),
           Dim(width, threads_per_block / width), 0, stream(), x.as<T>(), y.as<T>(), images,
           int(x.dims[2] * x.dims[3]), int(channels));
  });
}
Status global_backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    launch_over(global_average_gradient_kernel<T>, dx.elements, dy.as<T>(), dx.as<T>(), dx.elements,
                Divisor(dx.dims[2] * dx.dims[3]), Divisor(dx.dims[1]), args.accumulate[0]);
  });
}

constexpr KernelRow rows[] = {{"max_pool2d.forward", 1, guarded<forward<Max>>},
                              {"max_pool2d.backward", 1, guarded<backward<Max>>},
                              {"avg_pool2d.forward", 1, guarded<forward<Average>>},
                              {"avg_pool2d.backward", 1, guarded<backward<Average>>},
                              {"global_avg_pool.forward", 1, guarded<global_forward>},
                              {"global_avg_pool.backward", 1, guarded<global_backward>}};

}  // namespace

KernelList pooling_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
