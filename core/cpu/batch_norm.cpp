// Kernel rows of batch_norm. Rows are pixels (or examples), channels innermost. Statistics are
// taken over fixed blocks of rows and joined in order, in double (Chan, Golub, LeVeque 1983).
#include <cmath>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"
#include "core/thread_pool.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

constexpr int64_t block = 1024;
struct Rows {
  int64_t rows, channels, blocks;
  explicit Rows(const TensorArg& x)
      : rows(x.dims[1] ? x.elements / x.dims[1] : 0),
        channels(x.dims[1]),
        blocks((rows + block - 1) / block) {}
  int64_t count(int64_t i) const { return rows - i * block < block ? rows - i * block : block; }
};

template <class T>
void batch_statistics(const KernelArgs& args, const Rows& r, T* mean, T* scale, double epsilon) {
  const T* x = args.inputs[0].as<T>();
  Scratch scratch;
  T* parts = scratch.take<T>(size_t(2 * r.blocks * r.channels));
  parallel_for(r.blocks, [&](int64_t i) {
    T* part = parts + 2 * i * r.channels;
    loops<T>().moments(x + i * block * r.channels, r.count(i), r.channels, part, part + r.channels);
  });
  const double momentum = args.attrs->real("momentum");
  T *running_mean = args.buffers[0].as<T>(), *running_variance = args.buffers[1].as<T>();
  for (int64_t c = 0; c < r.channels; ++c) {
    double n = 0, center = 0, squares = 0;
    for (int64_t i = 0; i < r.blocks; ++i) {
      const T* part = parts + 2 * i * r.channels;
      const double m = double(r.count(i)), delta = double(part[c]) - center;
      squares += double(part[r.channels + c]) + delta * delta * n * m / (n + m);
      center += delta * m / (n + m);
      n += m;
    }
    mean[c] = T(center);
    scale[c] = T(1 / std::sqrt(squares / n + epsilon));
    running_mean[c] = T((1 - momentum) * double(running_mean[c]) + momentum * center);
    running_variance[c] =
        T((1 - momentum) * double(running_variance[c]) + momentum * squares / (n - 1));
  }
}

Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    const Rows r(x);
    const double epsilon = args.attrs->real("epsilon");
    T *mean = args.outputs[1].as<T>(), *scale = args.outputs[2].as<T>();
    if (args.training) {
      batch_statistics(args, r, mean, scale, epsilon);
    } else {
      for (int64_t c = 0; c < r.channels; ++c) {
        mean[c] = args.buffers[0].as<T>()[c];
        scale[c] = T(1 / std::sqrt(double(args.buffers[1].as<T>()[c]) + epsilon));
      }
    }
    Scratch scratch;
    T* factor = scratch.take<T>(size_t(2 * r.channels));
    T* shift = factor + r.channels;
    for (int64_t c = 0; c < r.channels; ++c) {
      factor[c] = args.inputs[1].as<T>()[c] * scale[c];
      shift[c] = args.inputs[2].as<T>()[c] - mean[c] * factor[c];
    }
    const T* residual = args.input_count > 3 ? args.inputs[3].as<T>() : nullptr;
    const bool relu = args.attrs->integer("relu");
    parallel_for(r.blocks, [&](int64_t i) {
      const int64_t at = i * block * r.channels;
      loops<T>().affine(x.as<T>() + at, factor, shift, residual ? residual + at : nullptr, relu,
                        y.as<T>() + at, r.count(i), r.channels);
    });
  });
}

// With g the gradient before the activation, xc = x - mean and s = 1 / sqrt(var + eps):
//   dbeta = sum g,  dgamma = s sum g xc,
//   training: dx = gamma s (g - sum g / n - xc s^2 sum (g xc) / n);  evaluation: dx = gamma s g.
Status backward(const KernelArgs& args) {
  const TensorArg& dy = args.grad_outputs[0];
  return for_float(dy.dtype, [&]<class T>(T) {
    const Rows r(dy);
    const T *x = args.inputs[0].as<T>(), *gamma = args.inputs[1].as<T>(), *g = dy.as<T>();
    const T *mean = args.outputs[1].as<T>(), *scale = args.outputs[2].as<T>();
    const T* y = args.attrs->integer("relu") ? args.outputs[0].as<T>() : nullptr;
    Scratch scratch;
    T* parts = scratch.take<T>(size_t(2 * r.blocks * r.channels));
    T* a = scratch.take<T>(size_t(3 * r.channels));
    T *b = a + r.channels, *k = b + r.channels;
    parallel_for(r.blocks, [&](int64_t i) {
      const int64_t at = i * block * r.channels;
      T* part = parts + 2 * i * r.channels;
      loops<T>().norm_sums(x + at, y ? y + at : nullptr, g + at, mean, part, part + r.channels,
                           r.count(i), r.channels);
    });
    for (int64_t c = 0; c < r.channels; ++c) {
      T sum_g = T(0), sum_gx = T(0);
      for (int64_t i = 0; i < r.blocks; ++i) {
        sum_g += parts[2 * i * r.channels + c];
        sum_gx += parts[(2 * i + 1) * r.channels + c];
      }
      a[c] = gamma[c] * scale[c];
      b[c] = args.training ? -a[c] * scale[c] * scale[c] * sum_gx / T(r.rows) : T(0);
      k[c] = args.training ? -a[c] * sum_g / T(r.rows) : T(0);
      const T found[] = {sum_gx * scale[c], sum_g};
      for (const int i : {1, 2})
        if (T* to = args.grad_inputs[i].as<T>())
          to[c] = args.accumulate[i] ? to[c] + found[i - 1] : found[i - 1];
    }
    T* dx = args.grad_inputs[0].as<T>();
    T* dresidual = args.input_count > 3 ? args.grad_inputs[3].as<T>() : nullptr;
    if (!dx && !dresidual) return;
    parallel_for(r.blocks, [&](int64_t i) {
      const int64_t at = i * block * r.channels;
      loops<T>().norm_gradient(x + at, y ? y + at : nullptr, g + at, mean, a, b, k,
                               dx ? dx + at : nullptr, args.accumulate[0],
                               dresidual ? dresidual + at : nullptr,
                               dresidual && args.accumulate[3], r.count(i), r.channels);
    });
  });
}

constexpr KernelRow rows[] = {{"batch_norm.forward", 1, forward},
                              {"batch_norm.backward", 1, backward}};

}  // namespace

KernelList batch_norm_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
