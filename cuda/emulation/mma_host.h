// Host bodies of cuda/mma.h: the lanes meet, and the last one computes the tile element by element.
#pragma once

#include "cuda/device.h"

namespace pare::cuda {
namespace emulation {

// What element k of a lane's word `w` is, for elements of `Bytes` bytes.
inline float tf32_element(uint32_t w, int) { return std::bit_cast<float>(w & 0xffffe000u); }
inline float bf16_element(uint32_t w, int k) { return std::bit_cast<float>(w >> (16 * k) << 16); }
inline int32_t s8_element(uint32_t w, int k) { return int8_t(w >> (8 * k)); }
inline int32_t u8_element(uint32_t w, int k) { return uint8_t(w >> (8 * k)); }

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
            for (int word = 0; word < 8; ++word)
              for (int k = 0; k < Per; ++k) {
                const auto x =
                    ElementA{}(lane(row % 8 * 4 + word % 4).a[word / 4 * 2 + row / 8], k);
                const auto y = ElementB{}(lane(column * 4 + word % 4).b[word / 4], k);
                if constexpr (std::is_same_v<D, float>)
                  sum = std::fma(x, y, sum);
                else
                  sum += x * y;
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
