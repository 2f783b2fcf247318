// The arithmetic of integer layers on single values, for the host and for CUDA kernels alike; what
// it means is in integers.h. Nothing of it allocates, throws or is fused.
#pragma once

#include <cstdint>

#include "core/math.h"

namespace pare {

// How a real value is written as u8: x ~ scale (q - zero).
struct Quantizer {
  float scale = 1;
  int32_t zero = 0;
  bool operator==(const Quantizer&) const = default;
};

constexpr float smallest_scale = 1e-30f;  // below it quotients would leave the float range

// Rounds to nearest, ties to even, for |v| < 2^22: adding 1.5 * 2^23 leaves no fraction bits.
PARE_HD inline float round_even(float v) {
  constexpr float shifter = 12582912.0f;
  return (v + shifter) - shifter;
}

// v rounded, limited to [low, high] (integers of at most 2^22); NaN gives 0.
PARE_HD inline int32_t round_clamped(float v, float low, float high) {
  v = v > low ? v : (v == v ? low : 0.0f);
  v = v < high ? v : high;
  return int32_t(round_even(v));
}

// The quantizer of [low, high], both finite, widened to hold 0. An empty range gives scale 1.
PARE_HD inline Quantizer quantizer_of_finite(float low, float high) {
  low = low < 0.0f ? low : 0.0f;
  high = high > 0.0f ? high : 0.0f;
  // Halves first: high - low may overflow.
  const float scale = (high / 255.0f) - (low / 255.0f);
  if (scale < smallest_scale) return {};
  return {scale, round_clamped(-low / scale, 0.0f, 255.0f)};
}

PARE_HD inline uint8_t quantize_value(float x, Quantizer q) {
  return uint8_t(round_clamped(x / q.scale, float(-q.zero), float(255 - q.zero)) + q.zero);
}
PARE_HD inline float dequantize_value(uint8_t v, Quantizer q) {
  return q.scale * float(int32_t(v) - q.zero);
}
// One accumulator to an output: `zero` is z_y, `multiplier` is M_c.
PARE_HD inline uint8_t requantize(int32_t acc, float multiplier, int32_t zero, bool relu) {
  const float v = float(acc) * multiplier;
  return uint8_t(round_clamped(v, relu ? 0.0f : float(-zero), float(255 - zero)) + zero);
}

// Scale of a channel of weights whose largest magnitude is `largest`; 1 where all are zero.
PARE_HD inline float scale_of_largest(float largest) {
  const float scale = largest / 127.0f;
  return scale < smallest_scale ? 1.0f : scale;
}
// A weight rounded to one of the 255 levels of its channel.
PARE_HD inline float round_weight(float w, float scale) {
  return scale * float(round_clamped(w / scale, -127.0f, 127.0f));
}
// The real values that quantize to 0..255 without being limited: where fake_quant passes gradients.
PARE_HD inline float lowest_kept(Quantizer q) { return q.scale * (float(-q.zero) - 0.5f); }
PARE_HD inline float highest_kept(Quantizer q) { return q.scale * (float(255 - q.zero) + 0.5f); }
// One end of a learned range on its way to what was seen.
PARE_HD inline float moved(float end, float seen, float momentum, bool first) {
  return first ? seen : end + momentum * (seen - end);
}

}  // namespace pare
