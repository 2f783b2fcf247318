// Elementary functions of our own: polynomials in plain multiplies and adds, so that every
// instruction set, compiler and C library gives the same bits, and loops over them vectorize.
// Relative error a few ulp in float and double over the whole range. Overflow gives infinity, NaN
// stays. Denormals count as zero, as in all kernels: exp gives 0 where the result would be one, log
// takes one for 0.
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
  // Just inside ln of the smallest normal and of the largest number.
  constexpr T low = wide ? T(-708.396418532264) : T(-87.3365402);
  constexpr T high = wide ? T(709.782712893383) : T(88.7228317);
  const T c = x > low ? (x < high ? x : high) : low;                   // NaN is answered at the end
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
  // p 2^k, in the exponent's bits: 2^k itself may be out of range where the product is not.
  const T scaled = std::bit_cast<T>(Bits(std::bit_cast<Bits>(p) + (Bits(k) << (wide ? 52 : 23))));
  return x != x ? x : (x < low ? T(0) : (x > high ? T(HUGE_VAL) : scaled));
}

// log(x) = k ln2 + 2 atanh((m - 1) / (m + 1)), x = 2^k m, m in [sqrt(1/2), sqrt(2)).
template <class T>
PARE_HD inline T log(T x) {
  constexpr bool wide = sizeof(T) == 8;
  using Bits = std::conditional_t<wide, uint64_t, uint32_t>;
  constexpr int mantissa = wide ? 52 : 23;
  constexpr Bits half = wide ? Bits(0x3fe6a09e667f3bcdll) : Bits(0x3f3504f3);  // sqrt(1/2)
  const Bits b = std::bit_cast<Bits>(x);
  const auto k = std::make_signed_t<Bits>(b - half) >> mantissa;
  const T m = std::bit_cast<T>(Bits(b - (Bits(k) << mantissa)));
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
  constexpr T tiny = wide ? T(0x1p-1022) : T(0x1p-126);
  return x >= tiny ? (x < T(HUGE_VAL) ? value : x) : (x > -tiny ? T(-HUGE_VAL) : T(NAN));
}

template <class T>
PARE_HD inline T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}
// For |x| < 0.625 an odd polynomial or quotient (Moshier's Cephes, tanhf.c and tanh.c), because
// 1 - exp(-2 |x|) would cancel; (1 - e) / (1 + e), e = exp(-2 |x|), elsewhere.
template <class T>
PARE_HD inline T tanh(T x) {
  const T a = x < T(0) ? -x : x, z = x * x;
  T q;
  if constexpr (sizeof(T) == 8) {
    const T top = (T(-9.64399179425052238628e-1) * z + T(-9.92877231001918586564e1)) * z +
                  T(-1.61468768441708447952e3);
    const T bottom = ((z + T(1.12811678491632931402e2)) * z + T(2.23548839060100448583e3)) * z +
                     T(4.84406305325125486048e3);
    q = top / bottom;
  } else {
    q = T(-5.70498872745e-3) * z + T(2.06390887954e-2);
    q = q * z + T(-5.37397155531e-2);
    q = q * z + T(1.33314422036e-1);
    q = q * z + T(-3.33332819422e-1);
  }
  const T small = x + x * z * q;
  const T e = exp(T(-2) * a), t = (T(1) - e) / (T(1) + e);
  return a < T(0.625) ? small : (x < T(0) ? -t : t);
}

// cos(2 pi t), 0 <= t <= 1: by its own or the sine's Taylor series on the nearest quarter turn,
// which is exact.
inline double cos_turns(double t) {
  const int quarter = int(4 * t + 0.5);
  const double x = (4 * t - quarter) * 1.57079632679489661923, z = x * x;
  const bool sine = quarter % 2 == 1;
  // 1 / n! of every other n, highest first.
  constexpr double factors[2][9] = {
      {1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320,
       -1.0 / 720, 1.0 / 24, -1.0 / 2, 1.0},
      {1.0 / 355687428096000, -1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880,
       -1.0 / 5040, 1.0 / 120, -1.0 / 6, 1.0}};
  double p = 0;
  for (const double factor : factors[sine]) p = p * z + factor;
  if (sine) p *= x;
  return quarter == 1 || quarter == 2 ? -p : p;
}

}  // namespace pare::math
