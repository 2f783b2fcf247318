// Host bodies of cuda/mma.h: the lanes meet, and the last one computes the tile element by element.
//
// Sums of floats are those that measurements of tensor cores describe (Fasi, Higham, Mikaitis,
// Pranesh 2021, "Numerical behavior of NVIDIA tensor cores"; Hopper's extra bits): products are
// exact, all of an instruction's are aligned with the accumulator to the largest, cut there one
// bit below a float's last, added as integers, and the sum is cut to a float. Cutting instead of
// rounding, and in one place: so sums here are no better than a GPU's.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>

#include "cuda/device.h"

namespace pare::cuda {
namespace emulation {

// What element k of a lane's word `w` is, for elements of `Bytes` bytes.
inline float tf32_element(uint32_t w, int) { return std::bit_cast<float>(w & 0xffffe000u); }
inline float bf16_element(uint32_t w, int k) { return std::bit_cast<float>(w >> (16 * k) << 16); }
inline int32_t s8_element(uint32_t w, int k) { return int8_t(w >> (8 * k)); }
inline int32_t u8_element(uint32_t w, int k) { return uint8_t(w >> (8 * k)); }

// What a GPU's units make of an undefined result.
inline float undefined_result() { return std::bit_cast<float>(0x7fffffffu); }

// acc + the sum of n products of x and y, whose significands have at most 11 bits.
template <int n>
float tensor_sum(float acc, const float (&x)[n], const float (&y)[n]) {
  double term[n + 1], largest = 0;
  term[n] = acc;
  for (int i = 0; i < n; ++i) term[i] = double(x[i]) * double(y[i]);
  bool finite = true;
  for (const double t : term) {
    largest = std::max(largest, std::abs(t));
    finite = finite && std::abs(t) < HUGE_VAL;
  }
  if (!finite) {
    double sum = 0;
    for (const double t : term) sum += t;
    return sum == sum ? float(sum) : undefined_result();
  }
  if (largest == 0) return 0;
  const int exponent = int(std::bit_cast<uint64_t>(largest) >> 52) - 1023 - 24;
  const auto power = [](int e) { return std::bit_cast<double>(uint64_t(e + 1023) << 52); };
  const double up = power(-exponent);
  int64_t sum = 0;
  for (const double t : term) sum += int64_t(t * up);
  // Cut to 24 bits.
  const double exact = double(sum) * power(exponent);
  return float(std::bit_cast<double>(std::bit_cast<uint64_t>(exact) >> 29 << 29));
}

template <class D>
struct Fragments {
  D* d;
  const uint32_t *a, *b;
};

// d += a b. A word holds `Per` elements; k runs over 8 words' worth: words 0..3 in the first half
// of a lane's fragments, 4..7 in the second.
template <class D, int Per, class ElementA, class ElementB>
void mma(D (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], ElementA, ElementB,
         const Location& where) {
  Fragments<D> mine{d, a, b};
  meet_warp(
      full_mask, &mine,
      [](void* const* payloads, uint32_t) {
        const auto lane = [&](int l) -> const Fragments<D>& {
          return *static_cast<const Fragments<D>*>(payloads[l]);
        };
        for (int row = 0; row < 16; ++row)
          for (int column = 0; column < 8; ++column) {
            D& sum = lane(row % 8 * 4 + column / 2).d[row / 8 * 2 + column % 2];
            const auto factors = [&](auto&& use) {
              for (int word = 0; word < 8; ++word)
                for (int k = 0; k < Per; ++k)
                  use(word * Per + k,
                      ElementA{}(lane(row % 8 * 4 + word % 4).a[word / 4 * 2 + row / 8], k),
                      ElementB{}(lane(column * 4 + word % 4).b[word / 4], k));
            };
            if constexpr (std::is_same_v<D, float>) {
              float x[8 * Per], y[8 * Per];
              factors([&](int k, float from_a, float from_b) { x[k] = from_a, y[k] = from_b; });
              sum = tensor_sum(sum, x, y);
            } else {
              factors([&](int, int32_t from_a, int32_t from_b) { sum += from_a * from_b; });
            }
          }
      },
      where);
}

template <auto f>
struct ElementOf {
  auto operator()(uint32_t w, int k) const { return f(w, k); }
};

}  // namespace emulation

#define PARE_MMA(name, D, per, fa, fb)                                           \
  inline void name(D(&d)[4], const uint32_t(&a)[4], const uint32_t(&b)[2],       \
                   emulation::Location where = emulation::Location::current()) { \
    emulation::mma<D, per>(d, a, b, emulation::ElementOf<emulation::fa>{},       \
                           emulation::ElementOf<emulation::fb>{}, where);        \
  }
PARE_MMA(mma_tf32, float, 1, tf32_element, tf32_element)
PARE_MMA(mma_bf16, float, 2, bf16_element, bf16_element)
PARE_MMA(mma_u8s8, int32_t, 4, u8_element, s8_element)
#undef PARE_MMA

}  // namespace pare::cuda
