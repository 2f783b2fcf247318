// Plain loops that the compiler vectorizes for the instruction set of the file (see loops.h). No
// multiply-add is contracted, so a loop without reductions gives the same bits everywhere.
#include <algorithm>
#include <type_traits>

#include "core/cpu/kernels/loops.h"
#include "core/cpu/kernels/simd.h"
#include "core/pointwise.h"

namespace pare::cpu {
namespace {

template <class Op, class T>
void apply_op(const T* __restrict x, T* __restrict y, int64_t n, T a, T b) {
  for (int64_t i = 0; i < n; ++i) y[i] = Op::template f<T>(x[i], a, b);
}
template <class Op, class T>
void apply_gradient(const T* __restrict s, const T* __restrict dy, T* __restrict dx, int64_t n, T a,
                    T b, bool accumulate) {
  if (accumulate)
    for (int64_t i = 0; i < n; ++i) dx[i] += dy[i] * Op::template df<T>(s[i], a, b);
  else
    for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] * Op::template df<T>(s[i], a, b);
}

template <class T, class... Ops>
void dispatch(pointwise::List<Ops...>, int op, const T* x, T* y, int64_t n, T a, T b) {
  using Fn = void (*)(const T*, T*, int64_t, T, T);
  static constexpr Fn table[] = {apply_op<Ops, T>...};
  table[op](x, y, n, a, b);
}
template <class T, class... Ops>
void dispatch_gradient(pointwise::List<Ops...>, int op, const T* s, const T* dy, T* dx, int64_t n,
                       T a, T b, bool accumulate) {
  using Fn = void (*)(const T*, const T*, T*, int64_t, T, T, bool);
  static constexpr Fn table[] = {apply_gradient<Ops, T>...};
  table[op](s, dy, dx, n, a, b, accumulate);
}

template <class T>
void pointwise_loop(int op, const T* x, T* y, int64_t n, T a, T b) {
  dispatch<T>(pointwise::All{}, op, x, y, n, a, b);
}
template <class T>
void pointwise_gradient_loop(int op, const T* s, const T* dy, T* dx, int64_t n, T a, T b,
                             bool acc) {
  dispatch_gradient<T>(pointwise::All{}, op, s, dy, dx, n, a, b, acc);
}

template <class T>
void add_loop(const T* a, const T* b, T* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

// Several rows are added up side by side where channels are few, so that they fill the vectors too.
template <class T, bool masked>
void masked_sums_of(const T* __restrict dy, const T* __restrict y, T* __restrict out,
                    T* __restrict sum, int64_t rows, int64_t channels) {
  constexpr int64_t most = 128;
  const int64_t together = channels > 0 && channels * 2 <= most ? most / channels : 1;
  const int64_t n = together * channels;
  if (together == 1) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < channels; ++c) {
        const T g = !masked || y[r * channels + c] > T(0) ? dy[r * channels + c] : T(0);
        if constexpr (masked) out[r * channels + c] = g;
        sum[c] += g;
      }
    return;
  }
  T part[most];
  for (int64_t i = 0; i < n; ++i) part[i] = T(0);
  int64_t at = 0;
  for (; at + n <= rows * channels; at += n)
    for (int64_t i = 0; i < n; ++i) {
      const T g = !masked || y[at + i] > T(0) ? dy[at + i] : T(0);
      if constexpr (masked) out[at + i] = g;
      part[i] += g;
    }
  for (int64_t i = 0; at + i < rows * channels; ++i) {
    const T g = !masked || y[at + i] > T(0) ? dy[at + i] : T(0);
    if constexpr (masked) out[at + i] = g;
    part[i] += g;
  }
  for (int64_t r = 0; r < together; ++r)
    for (int64_t c = 0; c < channels; ++c) sum[c] += part[r * channels + c];
}

template <class T>
void masked_sums_loop(const T* dy, const T* y, T* out, T* sum, int64_t rows, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) sum[c] = T(0);
  if (y)
    masked_sums_of<T, true>(dy, y, out, sum, rows, channels);
  else
    masked_sums_of<T, false>(dy, nullptr, nullptr, sum, rows, channels);
}

// Calls f(first channel, load, store) for each vector of channels; the last may be part of one.
template <class T, class F>
void over_channel_vectors(int64_t channels, F&& f) {
  using V = Vec<T>;
  int64_t k = 0;
  for (; k + V::width <= channels; k += V::width)
    f(k, [](const T* p) { return V::load(p); }, [](V v, T* p) { v.store(p); });
  if (const int left = int(channels - k))
    f(k, [left](const T* p) { return V::load(p, left); }, [left](V v, T* p) { v.store(p, left); });
}

template <class T>
void max_pool_row_loop(const T* x, int64_t x_row, int64_t kernel, int64_t stride, int64_t windows,
                       int64_t channels, T* y) {
  for (int64_t j = 0; j < windows; ++j, x += stride * channels, y += channels)
    over_channel_vectors<T>(channels, [&](int64_t k, auto load, auto store) {
      Vec<T> top = load(x + k);
      for (int64_t a = 0; a < kernel; ++a)
        for (int64_t b = 0; b < kernel; ++b) top = max(load(x + a * x_row + b * channels + k), top);
      store(top, y + k);
    });
}

// The elements p[0], p[stride], ... of n lanes; nothing behind the last of them is read.
template <int64_t stride, class T>
Vec<T> load_lanes(const T* p, int n) {
  constexpr int width = Vec<T>::width;
  if constexpr (stride == 1) return n == width ? Vec<T>::load(p) : Vec<T>::load(p, n);
  const int elements = 2 * n - 1;
  return elements < width ? evens(Vec<T>::load(p, elements), Vec<T>::zero())
                          : evens(Vec<T>::load(p), Vec<T>::load(p + width, elements - width));
}

// y[j] = f(v, y[j]) for the elements v of window j in turn, from first(v) on.
template <int64_t stride, class T, class First, class F>
void over_plane_row(const T* x, int64_t x_row, int64_t kernel, int64_t windows, T* y, First first,
                    F f) {
  constexpr int width = Vec<T>::width;
  const auto run = [&](int64_t j, auto n) {
    const T* at = x + j * stride;
    Vec<T> value = first(load_lanes<stride>(at, n));
    for (int64_t a = 0; a < kernel; ++a)
      for (int64_t b = 0; b < kernel; ++b)
        value = f(load_lanes<stride>(at + a * x_row + b, n), value);
    n == width ? value.store(y + j) : value.store(y + j, n);
  };
  int64_t j = 0;
  for (; j + width <= windows; j += width) run(j, std::integral_constant<int, width>());
  if (j < windows) run(j, int(windows - j));
}
template <class T, class First, class F>
void over_plane_row(const T* x, int64_t x_row, int64_t kernel, int64_t stride, int64_t windows,
                    T* y, First first, F f) {
  if (stride == 1) return over_plane_row<1>(x, x_row, kernel, windows, y, first, f);
  if (stride == 2) return over_plane_row<2>(x, x_row, kernel, windows, y, first, f);
  for (int64_t j = 0; j < windows; ++j)
    over_plane_row<1>(x + j * stride, x_row, kernel, 1, y + j, first, f);
}

template <class T>
void max_plane_row_loop(const T* x, int64_t x_row, int64_t kernel, int64_t stride, int64_t windows,
                        T* y) {
  over_plane_row(
      x, x_row, kernel, stride, windows, y, [](Vec<T> v) { return v; },
      [](Vec<T> v, Vec<T> top) { return max(v, top); });
}

template <class T>
void sum_plane_row_loop(const T* x, int64_t x_row, int64_t kernel, int64_t stride, int64_t windows,
                        T share, T* y) {
  over_plane_row(
      x, x_row, kernel, stride, windows, y, [](Vec<T>) { return Vec<T>::zero(); },
      [](Vec<T> v, Vec<T> sum) { return sum + v; });
  for (int64_t j = 0; j < windows; ++j) y[j] *= share;
}

// Eight channels side by side, for a sum in order waits for its last addition.
template <class T>
void plane_means_loop(const T* x, int64_t channels, int64_t pixels, T* y) {
  constexpr int64_t side = 8;
  for (int64_t c = 0; c < channels; c += side) {
    const int64_t n = std::min(side, channels - c);
    T sum[side] = {};
    if (n == side)
      for (int64_t p = 0; p < pixels; ++p)
        for (int64_t k = 0; k < side; ++k) sum[k] += x[(c + k) * pixels + p];
    else
      for (int64_t k = 0; k < n; ++k)
        for (int64_t p = 0; p < pixels; ++p) sum[k] += x[(c + k) * pixels + p];
    for (int64_t k = 0; k < n; ++k) y[c + k] = sum[k] / T(pixels);
  }
}

template <class T, bool add>
void max_pool_window_gradient(const T* x, int64_t x_row, int64_t kernel, int64_t channels,
                              const T* y, const T* dy, T* dx) {
  over_channel_vectors<T>(channels, [&](int64_t k, auto load, auto store) {
    const Vec<T> top = load(y + k), none = Vec<T>::zero();
    Vec<T> left = load(dy + k);  // what no element took yet
    for (int64_t a = 0; a < kernel; ++a)
      for (int64_t b = 0; b < kernel; ++b) {
        const int64_t at = a * x_row + b * channels + k;
        const Vec<T> v = load(x + at), g = if_equal(v, top, left, none);
        left = if_equal(v, top, none, left);
        store(add ? load(dx + at) + g : g, dx + at);
      }
  });
}

template <class T>
void max_pool_row_gradient_loop(const T* x, int64_t x_row, int64_t kernel, int64_t stride,
                                int64_t windows, int64_t channels, const T* y, const T* dy, T* dx,
                                bool add) {
  for (int64_t j = 0; j < windows; ++j) {
    const int64_t in = j * stride * channels, out = j * channels;
    if (add)
      max_pool_window_gradient<T, true>(x + in, x_row, kernel, channels, y + out, dy + out,
                                        dx + in);
    else
      max_pool_window_gradient<T, false>(x + in, x_row, kernel, channels, y + out, dy + out,
                                         dx + in);
  }
}

template <class T>
void moments_loop(const T* __restrict x, int64_t rows, int64_t channels, T* __restrict mean,
                  T* __restrict squares) {
  for (int64_t c = 0; c < channels; ++c) mean[c] = squares[c] = T(0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < channels; ++c) mean[c] += x[r * channels + c];
  for (int64_t c = 0; c < channels; ++c) mean[c] /= T(rows);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < channels; ++c) {
      const T d = x[r * channels + c] - mean[c];
      squares[c] += d * d;
    }
}

template <class T, bool relu, bool residual>
void affine_rows(const T* __restrict x, const T* __restrict scale, const T* __restrict shift,
                 const T* __restrict r, T* __restrict y, int64_t rows, int64_t channels) {
  for (int64_t i = 0; i < rows; ++i, x += channels, y += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      T v = x[c] * scale[c] + shift[c];
      if constexpr (residual) v += r[c];
      y[c] = relu && v < T(0) ? T(0) : v;
    }
    if constexpr (residual) r += channels;
  }
}
template <class T>
void affine_loop(const T* x, const T* scale, const T* shift, const T* residual, bool relu, T* y,
                 int64_t rows, int64_t channels) {
  if (relu && residual)
    return affine_rows<T, true, true>(x, scale, shift, residual, y, rows, channels);
  if (relu) return affine_rows<T, true, false>(x, scale, shift, residual, y, rows, channels);
  if (residual) return affine_rows<T, false, true>(x, scale, shift, residual, y, rows, channels);
  affine_rows<T, false, false>(x, scale, shift, residual, y, rows, channels);
}

template <class T>
void norm_sums_loop(const T* __restrict x, const T* __restrict y, const T* __restrict dy,
                    const T* __restrict mean, T* __restrict sum_g, T* __restrict sum_gx,
                    int64_t rows, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) sum_g[c] = sum_gx[c] = T(0);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = i * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const T g = !y || y[at + c] > T(0) ? dy[at + c] : T(0);
      sum_g[c] += g;
      sum_gx[c] += g * (x[at + c] - mean[c]);
    }
  }
}

template <class T, bool relu>
void norm_gradient_rows(const T* __restrict x, const T* __restrict y, const T* __restrict dy,
                        const T* __restrict mean, const T* __restrict a, const T* __restrict b,
                        const T* __restrict k, T* __restrict dx, bool accumulate,
                        T* __restrict dresidual, bool accumulate_residual, int64_t rows,
                        int64_t channels) {
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = i * channels;
    if (dx && accumulate)
      for (int64_t c = 0; c < channels; ++c) {
        const T g = !relu || y[at + c] > T(0) ? dy[at + c] : T(0);
        dx[at + c] += a[c] * g + b[c] * (x[at + c] - mean[c]) + k[c];
      }
    else if (dx)
      for (int64_t c = 0; c < channels; ++c) {
        const T g = !relu || y[at + c] > T(0) ? dy[at + c] : T(0);
        dx[at + c] = a[c] * g + b[c] * (x[at + c] - mean[c]) + k[c];
      }
    if (dresidual)
      for (int64_t c = 0; c < channels; ++c) {
        const T g = !relu || y[at + c] > T(0) ? dy[at + c] : T(0);
        dresidual[at + c] = accumulate_residual ? dresidual[at + c] + g : g;
      }
  }
}
template <class T>
void norm_gradient_loop(const T* x, const T* y, const T* dy, const T* mean, const T* a, const T* b,
                        const T* k, T* dx, bool accumulate, T* dresidual, bool accumulate_residual,
                        int64_t rows, int64_t channels) {
  if (y)
    norm_gradient_rows<T, true>(x, y, dy, mean, a, b, k, dx, accumulate, dresidual,
                                accumulate_residual, rows, channels);
  else
    norm_gradient_rows<T, false>(x, y, dy, mean, a, b, k, dx, accumulate, dresidual,
                                 accumulate_residual, rows, channels);
}

template <class T, bool nesterov>
void sgd_momentum(const SgdRule<T> r, const T* __restrict g, T* __restrict w, T* __restrict v,
                  int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const T d = r.scale * g[i] + r.decay * w[i];
    v[i] = r.momentum * v[i] + d;
    w[i] -= r.rate * (nesterov ? d + r.momentum * v[i] : v[i]);
  }
}
template <class T>
void sgd_loop(const SgdRule<T>& rule, const T* g, T* w, T* v, int64_t n) {
  const SgdRule<T> r = rule;
  if (v)
    return r.nesterov ? sgd_momentum<T, true>(r, g, w, v, n)
                      : sgd_momentum<T, false>(r, g, w, v, n);
  for (int64_t i = 0; i < n; ++i) w[i] -= r.rate * (r.scale * g[i] + r.decay * w[i]);
}

template <class T>
void adam_loop(const AdamRule<T>& rule, const T* __restrict g, T* __restrict w, T* __restrict m,
               T* __restrict v, int64_t n) {
  const AdamRule<T> r = rule;
  for (int64_t i = 0; i < n; ++i) {
    const T d = r.scale * g[i] + r.decay * w[i];
    m[i] += (d - m[i]) * (T(1) - r.beta1);
    v[i] = r.beta2 * v[i] + (T(1) - r.beta2) * d * d;
    w[i] = r.shrink * w[i] - r.step_size * m[i] / (std::sqrt(v[i]) / r.root + r.epsilon);
  }
}

template <class T>
void zero_masked_loop(const uint8_t* __restrict keep, T* __restrict x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = keep[i] ? x[i] : T(0);
}

// Sums in a fixed number of lanes: the compiler needs no licence to reorder, and every instruction
// set adds in the same order.
constexpr int64_t sum_lanes = 32;

// x * 0 is NaN for what is not finite, and NaN survives a sum.
template <class T>
bool all_finite_loop(const T* x, int64_t n) {
  T sum[sum_lanes] = {};
  int64_t i = 0;
  for (; i + sum_lanes <= n; i += sum_lanes)
    for (int64_t k = 0; k < sum_lanes; ++k) sum[k] += x[i + k] * T(0);
  for (; i < n; ++i) sum[0] += x[i] * T(0);
  T total = T(0);
  for (const T s : sum) total += s;
  return total == T(0);
}

template <class T>
double sum_of_squares_loop(const T* x, int64_t n) {
  double sum[sum_lanes] = {};
  int64_t i = 0;
  for (; i + sum_lanes <= n; i += sum_lanes)
    for (int64_t k = 0; k < sum_lanes; ++k) sum[k] += double(x[i + k]) * double(x[i + k]);
  for (; i < n; ++i) sum[0] += double(x[i]) * double(x[i]);
  double total = 0;
  for (const double s : sum) total += s;
  return total;
}

template <class T>
constexpr Loops<T> loop_table{pointwise_loop<T>,
                              pointwise_gradient_loop<T>,
                              add_loop<T>,
                              masked_sums_loop<T>,
                              max_pool_row_loop<T>,
                              max_plane_row_loop<T>,
                              sum_plane_row_loop<T>,
                              plane_means_loop<T>,
                              max_pool_row_gradient_loop<T>,
                              moments_loop<T>,
                              affine_loop<T>,
                              norm_sums_loop<T>,
                              norm_gradient_loop<T>,
                              sgd_loop<T>,
                              adam_loop<T>,
                              zero_masked_loop<T>,
                              all_finite_loop<T>,
                              sum_of_squares_loop<T>};

}  // namespace
}  // namespace pare::cpu
