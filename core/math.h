// exp and log of our own: polynomials in plain multiplies and adds, so that every instruction set,
// compiler and C library gives the same bits, and loops over them vectorize. Relative error about
// 2 ulp in float and double; arguments are clamped to the finite range.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

// Functions that run on the host and in CUDA kernels.
#if defined(__CUDACC__)
#define PARE_HD __host__ __device__
#else
#define PARE_HD
#endif

namespace pare::math {

// exp(x) = 2^k exp(r), |r| <= ln2 / 2, exp(r) by its Taylor series.
template <class T>
PARE_HD inline T exp(T x) {
  constexpr bool wide = sizeof(T) == 8;
  using Bits = std::conditional_t<wide, int64_t, int32_t>;
  constexpr T low = wide ? T(-708) : T(-87), high = wide ? T(709) : T(88);
  const T c = x < low ? low : (x > high ? high : x);
  constexpr T shifter = wide ? T(6755399441055744.0) : T(12582912.0);  // rounds to an integer
  const T k = (c * T(1.4426950408889634074) + shifter) - shifter;
  const T r = wide ? (c - k * T(6.93147180369123816490e-01)) - k * T(1.90821492927058770002e-10)
                   : (c - k * T(0.693359375)) - k * T(-2.12194440e-4);
  T p = wide ? T(1.0 / 6227020800.0) : T(1.0 / 5040.0);
  if constexpr (wide) {
    p = p * r + T(1.0 / 479001600.0);
    p = p * r + T(1.0 / 39916800.0);
    p = p * r + T(1.0 / 3628800.0);
    p = p * r + T(1.0 / 362880.0);
    p = p * r + T(1.0 / 40320.0);
    p = p * r + T(1.0 / 5040.0);
  }
  p = p * r + T(1.0 / 720.0);
  p = p * r + T(1.0 / 120.0);
  p = p * r + T(1.0 / 24.0);
  p = p * r + T(1.0 / 6.0);
  p = p * r + T(0.5);
  p = p * r + T(1);
  p = p * r + T(1);
  const Bits bits = (Bits(k) + (wide ? 1023 : 127)) << (wide ? 52 : 23);
  const T scaled = p * std::bit_cast<T>(bits);
  return x != x ? x : (x < low ? T(0) : scaled);
}

// log(x) = k ln2 + 2 atanh((m - 1) / (m + 1)), x = 2^k m, m in [sqrt(1/2), sqrt(2)).
template <class T>
PARE_HD inline T log(T x) {
  constexpr bool wide = sizeof(T) == 8;
  using Bits = std::conditional_t<wide, int64_t, int32_t>;
  constexpr int mantissa = wide ? 52 : 23;
  constexpr Bits half = wide ? Bits(0x3fe6a09e667f3bcdll) : Bits(0x3f3504f3);  // sqrt(1/2)
  const Bits b = std::bit_cast<Bits>(x);
  const Bits k = (b - half) >> mantissa;
  const T m = std::bit_cast<T>(Bits(b - (k << mantissa)));
  const T f = (m - T(1)) / (m + T(1)), s = f * f;
  T p = wide ? T(1.0 / 23) : T(1.0 / 9);
  if constexpr (wide) {
    p = p * s + T(1.0 / 21);
    p = p * s + T(1.0 / 19);
    p = p * s + T(1.0 / 17);
    p = p * s + T(1.0 / 15);
    p = p * s + T(1.0 / 13);
    p = p * s + T(1.0 / 11);
    p = p * s + T(1.0 / 9);
  }
  p = p * s + T(1.0 / 7);
  p = p * s + T(1.0 / 5);
  p = p * s + T(1.0 / 3);
  const T series = T(2) * f + T(2) * f * s * p;
  const T value = T(k) * T(0.69314718055994530942) + series;
  return x > T(0) ? value : (x == T(0) ? T(-HUGE_VAL) : T(NAN));
}

template <class T>
PARE_HD inline T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}
template <class T>
PARE_HD inline T tanh(T x) {
  const T a = x < T(0) ? -x : x;
  const T e = exp(T(-2) * a), t = (T(1) - e) / (T(1) + e);
  return x < T(0) ? -t : t;
}

}  // namespace pare::math
