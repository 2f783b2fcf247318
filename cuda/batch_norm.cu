// Kernel rows of batch_norm, with a residual and ReLU fused behind it. Rows are pixels (or
// examples), channels innermost: moments of each channel by columns_kernel, then one pass over the
// elements.
#include <iterator>

#include "cuda/columns.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

// Count, mean and sum of squared deviations. While a thread adds, the values are sums about the
// first number it met, which lies within the data, so that little cancels; joined as Chan, Golub
// and LeVeque (1983) do.
template <class T>
struct Moments {
  T count = T(0), mean = T(0), squares = T(0), about = T(0);
  PARE_DEVICE void add(T x) {
    if (count == T(0)) about = x;
    const T d = x - about;
    count = count + T(1);
    mean = mean + d;
    squares = fma(d, d, squares);
  }
  PARE_DEVICE void close() {
    if (count == T(0)) return;
    const T d = mean / count;
    squares = squares - mean * d;
    squares = squares < T(0) ? T(0) : squares;
    mean = about + d;
    about = T(0);
  }
  PARE_DEVICE void join(const Moments& other) {
    if (other.count == T(0)) return;
    const T all = count + other.count, delta = other.mean - mean, share = other.count / all;
    squares = squares + other.squares + delta * delta * count * share;
    mean = fma(delta, share, mean);
    count = all;
  }
};
template <class T>
struct ReadMoments {
  using State = Moments<T>;
  const T* x;
  int64_t channels;
  PARE_DEVICE void add(State& state, int64_t row, int64_t c) const {
    state.add(x[row * channels + c]);
  }
  PARE_DEVICE void close(State& state) const { state.close(); }
};

// What the forward pass makes of a channel's mean and variance: x factor + shift.
template <class T>
struct Channels {
  const T *gamma, *beta;
  T *mean, *scale, *factor, *shift;
  double epsilon;
  PARE_DEVICE void set(int64_t c, T m, double variance) const {
    mean[c] = m;
    scale[c] = T(1 / sqrt(variance + epsilon));
    factor[c] = gamma[c] * scale[c];
    shift[c] = beta[c] - m * factor[c];
  }
};
template <class T>
struct PutMoments {
  Channels<T> channels;
  T *running_mean, *running_variance;
  double momentum;
  PARE_DEVICE void operator()(int64_t, int64_t c, const Moments<T>& found) const {
    const double n = double(found.count), squares = double(found.squares);
    channels.set(c, found.mean, squares / n);
    running_mean[c] = T((1 - momentum) * double(running_mean[c]) + momentum * double(found.mean));
    running_variance[c] =
        T((1 - momentum) * double(running_variance[c]) + momentum * squares / (n - 1));
  }
};
template <class T>
PARE_KERNEL void use_running_kernel(Channels<T> channels, const T* mean, const T* variance,
                                    int64_t count) {
  for (int64_t c = global_x(); c < count; c += grid_threads())
    channels.set(c, mean[c], double(variance[c]));
}

// Over the elements, block by block of columns: a thread's channel stays the same.
template <class F>
PARE_DEVICE inline void over_cells(int64_t rows, int64_t channels, F&& f) {
  const int64_t c = int64_t(block_x()) * block_width() + thread_x();
  if (c >= channels) return;
  for (int64_t r = int64_t(block_y()) * block_height() + thread_y(); r < rows;
       r += int64_t(grid_height()) * block_height())
    f(r * channels + c, c);
}
template <class... Params, class... Args>
void launch_over_cells(void (*kernel)(Params...), int64_t rows, int64_t channels, Args&&... args) {
  if (channels == 0) return;
  const int width = block_columns(channels), height = threads_per_block / width;
  const int64_t across = ceil_div(channels, width), all = ceil_div(rows, height);
  const int64_t enough = ceil_div(int64_t(properties().multiprocessors) * 8, across);
  launch(kernel, Dim(across, all < enough ? all : enough), Dim(width, height), 0, stream(), rows,
         channels, std::forward<Args>(args)...);
}

template <class T>
PARE_KERNEL void apply_kernel(int64_t rows, int64_t channels, const T* x, const T* factor,
                              const T* shift, const T* residual, bool relu, T* y) {
  over_cells(rows, channels, [&](int64_t i, int64_t c) {
    T v = x[i] * factor[c] + shift[c];
    if (residual) v = v + residual[i];
    y[i] = relu && v < T(0) ? T(0) : v;
  });
}

Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    const int64_t channels = x.dims[1], rows = channels ? x.elements / channels : 0;
    Channels<T> found{args.inputs[1].as<T>(),     args.inputs[2].as<T>(), args.outputs[1].as<T>(),
                      args.outputs[2].as<T>(),    scratch<T>(channels),   scratch<T>(channels),
                      args.attrs->real("epsilon")};
    T *running_mean = args.buffers[0].as<T>(), *running_variance = args.buffers[1].as<T>();
    if (args.training)
      over_columns(
          ReadMoments<T>{x.as<T>(), channels},
          PutMoments<T>{found, running_mean, running_variance, args.attrs->real("momentum")}, rows,
          channels);
    else
      launch_over(use_running_kernel<T>, channels, found, running_mean, running_variance, channels);
    launch_over_cells(apply_kernel<T>, rows, channels, x.as<T>(), found.factor, found.shift,
                      args.input_count > 3 ? args.inputs[3].as<T>() : nullptr,
                      bool(args.attrs->integer("relu")), y.as<T>());
  });
}

// With g the gradient before the activation, xc = x - mean and s = 1 / sqrt(var + eps):
//   dbeta = sum g,  dgamma = s sum g xc,
//   training: dx = gamma s (g - sum g / n - xc s^2 sum (g xc) / n);  evaluation: dx = gamma s g.
template <class T>
struct ReadNormSums {
  using State = Sums<T, 2>;
  const T *x, *y, *dy, *mean;
  int64_t channels;
  PARE_DEVICE void add(State& state, int64_t row, int64_t c) const {
    const int64_t i = row * channels + c;
    const T g = !y || y[i] > T(0) ? dy[i] : T(0);
    state.v[0] = state.v[0] + g;
    state.v[1] = fma(g, x[i] - mean[c], state.v[1]);
  }
};
// dx = a g + b xc + k.
template <class T>
struct PutNormSums {
  const T *gamma, *scale;
  T *a, *b, *k, *dgamma, *dbeta;
  T rows;
  bool training, accumulate_gamma, accumulate_beta;
  PARE_DEVICE void operator()(int64_t, int64_t c, const Sums<T, 2>& sums) const {
    const T s = scale[c], sum_g = sums.v[0], sum_gx = sums.v[1];
    a[c] = gamma[c] * s;
    b[c] = training ? -a[c] * s * s * sum_gx / rows : T(0);
    k[c] = training ? -a[c] * sum_g / rows : T(0);
    if (dgamma) dgamma[c] = accumulate_gamma ? dgamma[c] + sum_gx * s : sum_gx * s;
    if (dbeta) dbeta[c] = accumulate_beta ? dbeta[c] + sum_g : sum_g;
  }
};
template <class T>
struct Gradients {
  T *dx, *dresidual;
  bool accumulate, accumulate_residual;
};
template <class T>
PARE_KERNEL void gradient_kernel(int64_t rows, int64_t channels, ReadNormSums<T> from, const T* a,
                                 const T* b, const T* k, Gradients<T> to) {
  over_cells(rows, channels, [&](int64_t i, int64_t c) {
    const T g = !from.y || from.y[i] > T(0) ? from.dy[i] : T(0);
    const T d = a[c] * g + b[c] * (from.x[i] - from.mean[c]) + k[c];
    if (to.dx) to.dx[i] = to.accumulate ? to.dx[i] + d : d;
    if (to.dresidual) to.dresidual[i] = to.accumulate_residual ? to.dresidual[i] + g : g;
  });
}

Status backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], *grads = args.grad_inputs;
  return for_float(dy.dtype, [&]<class T>(T) {
    const int64_t channels = dy.dims[1], rows = channels ? dy.elements / channels : 0;
    const ReadNormSums<T> from{args.inputs[0].as<T>(),
                               args.attrs->integer("relu") ? args.outputs[0].as<T>() : nullptr,
                               dy.as<T>(), args.outputs[1].as<T>(), channels};
    const PutNormSums<T> found{
        args.inputs[1].as<T>(), args.outputs[2].as<T>(), scratch<T>(channels), scratch<T>(channels),
        scratch<T>(channels),   grads[1].as<T>(),        grads[2].as<T>(),     T(rows),
        args.training,          args.accumulate[1],      args.accumulate[2]};
    over_columns(from, found, rows, channels);
    const bool residual = args.input_count > 3;
    const Gradients<T> to{grads[0].as<T>(), residual ? grads[3].as<T>() : nullptr,
                          args.accumulate[0], residual && args.accumulate[3]};
    if (to.dx || to.dresidual)
      launch_over_cells(gradient_kernel<T>, rows, channels, from, found.a, found.b, found.k, to);
  });
}

constexpr KernelRow rows[] = {{"batch_norm.forward", 1, guarded<forward>},
                              {"batch_norm.backward", 1, guarded<backward>}};

}  // namespace

KernelList batch_norm_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
