// The elementwise and per-channel loops of one instruction set. Matrices are rows x channels with
// channels innermost (nhwc pixels, or a dense layer's features).
#pragma once

#include <cstdint>

namespace pare::cpu {

// The constants of one step of an optimizer (optim/sgd.h, optim/adam.h); `scale` multiplies the
// gradient first, which is how clipping costs no pass of its own.
template <class T>
struct SgdRule {
  T scale, rate, momentum, decay;
  bool nesterov;
};
template <class T>
struct AdamRule {
  T scale, decay, shrink, beta1, beta2, step_size, root, epsilon;
};

template <class T>
struct Loops {
  // y[i] = f(x[i]); dx[i] (+)= dy[i] * df(saved[i]); `op` is the place in pointwise::All.
  void (*pointwise)(int op, const T* x, T* y, int64_t n, T a, T b);
  void (*pointwise_gradient)(int op, const T* saved, const T* dy, T* dx, int64_t n, T a, T b,
                             bool accumulate);
  void (*add)(const T* a, const T* b, T* y, int64_t n);
  // out = y > 0 ? dy : 0 (out may be null: only sums; y null: no mask); sum[c] = column sums of
  // out.
  void (*masked_sums)(const T* dy, const T* y, T* out, T* sum, int64_t rows, int64_t channels);
  // One row of max-pooling windows over nhwc pixels: y[j][k] = max over a, b < kernel of
  // x[a * x_row + (j * stride + b) * channels + k].
  void (*max_pool_row)(const T* x, int64_t x_row, int64_t kernel, int64_t stride, int64_t windows,
                       int64_t channels, T* y);
  // One row of windows over one plain plane, whose rows are x_row apart: y[j] = max, or share times
  // the sum, over a, b < kernel of x[a * x_row + j * stride + b]. In the order of the windows of
  // nhwc pixels, so with their bits.
  void (*max_plane_row)(const T* x, int64_t x_row, int64_t kernel, int64_t stride, int64_t windows,
                        T* y);
  void (*sum_plane_row)(const T* x, int64_t x_row, int64_t kernel, int64_t stride, int64_t windows,
                        T share, T* y);
  // Means of planes of so many pixels, one a channel; each summed in order.
  void (*plane_means)(const T* x, int64_t channels, int64_t pixels, T* y);
  // The gradient of max_pool_row, into the first largest element of each window; `add` to what dx
  // holds, which windows that overlap need, or write every element of each window.
  void (*max_pool_row_gradient)(const T* x, int64_t x_row, int64_t kernel, int64_t stride,
                                int64_t windows, int64_t channels, const T* y, const T* dy, T* dx,
                                bool add);
  // Mean and sum of squared deviations of each channel of a block of rows.
  void (*moments)(const T* x, int64_t rows, int64_t channels, T* mean, T* squares);
  // y = x * scale[c] + shift[c] (+ residual), then ReLU if asked.
  void (*affine)(const T* x, const T* scale, const T* shift, const T* residual, bool relu, T* y,
                 int64_t rows, int64_t channels);
  // g = y > 0 ? dy : 0 (y may be null); sum_g[c] = sum of g, sum_gx[c] = sum of g * (x - mean[c]).
  void (*norm_sums)(const T* x, const T* y, const T* dy, const T* mean, T* sum_g, T* sum_gx,
                    int64_t rows, int64_t channels);
  // dx (+)= a[c] * g + b[c] * (x - mean[c]) + k[c]; dresidual (+)= g where it is not null.
  void (*norm_gradient)(const T* x, const T* y, const T* dy, const T* mean, const T* a, const T* b,
                        const T* k, T* dx, bool accumulate, T* dresidual, bool accumulate_residual,
                        int64_t rows, int64_t channels);
  // One step of SGD on w; v is null without momentum.
  void (*sgd)(const SgdRule<T>& rule, const T* g, T* w, T* v, int64_t n);
  void (*adam)(const AdamRule<T>& rule, const T* g, T* w, T* m, T* v, int64_t n);
  void (*zero_masked)(const uint8_t* keep, T* x, int64_t n);  // x = 0 where keep is 0
  bool (*all_finite)(const T* x, int64_t n);
  double (*sum_of_squares)(const T* x, int64_t n);
};

}  // namespace pare::cpu
