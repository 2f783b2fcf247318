// GEMM and convolution against plain double loops, on every instruction set present, over odd
// sizes; and the same bits for any number of threads.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/cpu/conv.h"
#include "core/cpu/gemm.h"
#include "core/cpu/isa.h"
#include "core/error.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "tests/support/isas.h"

using namespace pare;
using namespace pare::testing;
using namespace pare::cpu;

namespace {

template <class T>
std::vector<T> noise(size_t n, uint64_t key) {
  std::vector<T> v(n);
  Rng rng(key);
  for (T& x : v) x = T(rng.uniform() * 2 - 1);
  return v;
}

// |got - want| <= gamma_k * (sum of |a||b|), gamma_k = (k + 2) * eps; the sum is bounded by k here.
template <class T>
void check_close(const std::vector<T>& got, const std::vector<double>& want, double terms) {
  const double eps = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53, bound = (terms + 2) * eps * (terms + 2);
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i)
    worst = std::max(worst, std::abs(double(got[i]) - want[i]));
  CHECK(worst <= bound);
}

template <class T>
void gemm_case(int64_t m, int64_t n, int64_t k, bool ta, bool tb, bool accumulate, bool relu) {
  const std::string which = message("{}x{}x{} {}{}", m, n, k, ta, tb);
  CAPTURE(which);
  const auto a = noise<T>(size_t(m * k), 1), b = noise<T>(size_t(k * n), 2),
             bias = noise<T>(size_t(n), 3);
  auto c = noise<T>(size_t(m * n), 4);
  std::vector<double> want(c.size());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = accumulate ? double(c[size_t(i * n + j)]) : 0;
      for (int64_t p = 0; p < k; ++p)
        sum += double(a[size_t(ta ? p * m + i : i * k + p)]) *
               double(b[size_t(tb ? j * k + p : p * n + j)]);
      sum += double(bias[size_t(j)]);
      want[size_t(i * n + j)] = relu && sum < 0 ? 0 : sum;
    }
  GemmArgs<T> g;
  g.m = m, g.n = n, g.k = k;
  g.a = a.data(), g.lda = ta ? m : k, g.a_transposed = ta;
  g.b = b.data(), g.ldb = tb ? k : n, g.b_transposed = tb;
  g.c = c.data(), g.ldc = n;
  g.accumulate = accumulate, g.bias = bias.data(), g.relu = relu;
  gemm(g);
  check_close(c, want, double(k));
}

ConvShape conv_shape(int64_t n, int64_t c, int64_t h, int64_t w, int64_t o, int64_t k,
                     int64_t stride, int64_t pad, int64_t dilation, int64_t groups) {
  ConvShape s;
  s.n = n, s.c = c, s.h = h, s.w = w, s.o = o, s.kh = k, s.kw = k > 1 ? k - 1 : k;
  s.stride_h = stride, s.stride_w = stride, s.pad_h = pad, s.pad_w = pad;
  s.dilation_h = dilation, s.dilation_w = dilation, s.groups = groups;
  s.oh = (h + 2 * pad - dilation * (s.kh - 1) - 1) / stride + 1;
  s.ow = (w + 2 * pad - dilation * (s.kw - 1) - 1) / stride + 1;
  return s;
}

template <class T>
void conv_case(const ConvShape& s) {
  const std::string which = message("{}x{}x{} to {}, kernel {}, stride {}, groups {}", s.n, s.c,
                                    s.h, s.o, s.kh, s.stride_h, s.groups);
  CAPTURE(which);
  const size_t nx = size_t(s.n * s.h * s.w * s.c), ny = size_t(s.n * s.oh * s.ow * s.o);
  const size_t nw = size_t(s.o * s.c / s.groups * s.kh * s.kw);
  const auto x = noise<T>(nx, 5), w = noise<T>(nw, 6), dy = noise<T>(ny, 7),
             bias = noise<T>(size_t(s.o), 8);
  std::vector<double> y(ny), dx(nx), dw(nw);
  const int64_t in = s.c / s.groups, out = s.o / s.groups;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t i = 0; i < s.oh; ++i)
      for (int64_t j = 0; j < s.ow; ++j)
        for (int64_t o = 0; o < s.o; ++o) {
          const size_t at_y = size_t(((n * s.oh + i) * s.ow + j) * s.o + o);
          y[at_y] = double(bias[size_t(o)]);
          for (int64_t c = 0; c < in; ++c)
            for (int64_t a = 0; a < s.kh; ++a)
              for (int64_t b = 0; b < s.kw; ++b) {
                const int64_t r = i * s.stride_h - s.pad_h + a * s.dilation_h;
                const int64_t q = j * s.stride_w - s.pad_w + b * s.dilation_w;
                if (r < 0 || r >= s.h || q < 0 || q >= s.w) continue;
                const size_t at_x = size_t(((n * s.h + r) * s.w + q) * s.c + o / out * in + c);
                const size_t at_w = size_t(((o * in + c) * s.kh + a) * s.kw + b);
                y[at_y] += double(x[at_x]) * double(w[at_w]);
                dx[at_x] += double(dy[at_y]) * double(w[at_w]);
                dw[at_w] += double(dy[at_y]) * double(x[at_x]);
              }
        }
  std::vector<T> got_y(ny), got_dx(nx), got_dw(nw);
  conv_forward(s, x.data(), w.data(), bias.data(), false, got_y.data());
  conv_backward_data(s, dy.data(), w.data(), got_dx.data(), false);
  conv_backward_weight(s, x.data(), dy.data(), got_dw.data(), false);
  check_close(got_y, y, double(in * s.kh * s.kw));
  check_close(got_dx, dx, double(out * s.kh * s.kw));
  check_close(got_dw, dw, double(s.n * s.oh * s.ow));
  conv_backward_data(s, dy.data(), w.data(), got_dx.data(), true);
  for (double& v : dx) v *= 2;
  check_close(got_dx, dx, 2.0 * double(out * s.kh * s.kw));
}

}  // namespace

TEST_CASE("gemm equals the double reference on every instruction set") {
  on_every_isa([] {
    for (const int64_t m : {1, 5, 8, 13, 70})
      for (const int64_t n : {1, 10, 16, 33, 100})
        for (const int64_t k : {1, 7, 64, 131})
          for (int bits = 0; bits < 4; ++bits) {
            gemm_case<float>(m, n, k, bits & 1, bits & 2, k == 7, k == 64);
            if (m < 20) gemm_case<double>(m, n, k, bits & 1, bits & 2, k == 7, k == 64);
          }
  });
}

TEST_CASE("convolution and its gradients equal the double reference") {
  on_every_isa([] {
    for (const ConvShape& s :
         {conv_shape(2, 1, 9, 8, 6, 5, 1, 2, 1, 1), conv_shape(3, 3, 7, 7, 16, 3, 1, 1, 1, 1),
          conv_shape(2, 16, 8, 8, 32, 3, 2, 1, 1, 1), conv_shape(9, 5, 6, 7, 50, 3, 1, 0, 1, 1),
          conv_shape(1, 4, 9, 9, 6, 3, 2, 0, 2, 2), conv_shape(2, 6, 5, 5, 6, 3, 1, 2, 1, 6),
          conv_shape(2, 8, 4, 4, 20, 1, 1, 0, 1, 1), conv_shape(1, 2, 5, 5, 3, 1, 2, 1, 1, 1)}) {
      conv_case<float>(s);
      conv_case<double>(s);
    }
  });
}

TEST_CASE("the bits do not depend on the number of threads") {
  const ConvShape s = conv_shape(13, 7, 12, 12, 19, 3, 1, 1, 1, 1);
  const auto x = noise<float>(size_t(13 * 144 * 7), 1);
  const auto dy = noise<float>(size_t(s.n * s.oh * s.ow * s.o), 2);
  std::vector<float> first;
  for (const int n : {1, 2, 3, 8}) {
    set_threads(n);
    std::vector<float> dw(size_t(s.o * s.c * s.kh * s.kw));
    conv_backward_weight(s, x.data(), dy.data(), dw.data(), false);
    if (first.empty()) first = dw;
    CHECK(dw == first);
  }
  set_threads(0);
}
