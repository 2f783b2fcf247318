// Where an augmented image lies: moved by whole pixels and mirrored, drawn from (key, index) alone,
// by the loader and by CUDA kernels alike.
#pragma once

#include <cstdint>

#include "core/math.h"
#include "core/random.h"

namespace pare {

// Pixel (y, x) shows pixel (y - dy, x' - dx) of the image, x' = x or, mirrored, width - 1 - x; what
// lies outside of the image is 0.
struct Placement {
  int64_t dy = 0, dx = 0;
  bool flip = false;
};

// Moves in [-shift, shift] on both axes.
PARE_HD inline Placement draw_placement(uint64_t key, uint64_t index, int64_t shift, bool flip) {
  const auto bits = philox(key, index);
  const uint64_t positions = uint64_t(2 * shift + 1);
  const auto moved = [&](uint32_t word) {
    return int64_t(uint64_t(word) * positions >> 32) - shift;
  };
  return {moved(bits[0]), moved(bits[1]), flip && (bits[2] >> 31) != 0};
}

}  // namespace pare
