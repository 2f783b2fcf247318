// Augmentation: a change to an image that keeps its label, drawn from (seed, epoch, index) alone,
// so that batch size, threads and resuming do not matter.
#pragma once

#include <cstdint>
#include <string>

#include "core/placement.h"
#include "core/shape.h"
#include "datasets/dataset.h"

namespace pare {

struct Augmentation {
  int shift = 0;      // pixels: moved by a whole amount in [-shift, shift] on both axes, 0 comes in
  bool flip = false;  // mirrored left to right every other time

  bool any() const { return shift > 0 || flip; }
  // A list by name, "crop,flip" say: crop (pad by 4 and cut out at random, which is a shift of up
  // to 4), shift (up to 2), flip, none. Unknown names throw Error{usage}.
  static Augmentation parse(const std::string& list);
};

// One image's draw, and the key that an epoch's draws share.
Placement draw_placement(const Augmentation& augmentation, uint64_t seed, int64_t epoch,
                         int64_t index);
uint64_t augmentation_key(uint64_t seed, int64_t epoch);

// Writes `image` (shape C,H,W) moved, mirrored and preprocessed.
void place_image(const uint8_t* image, const Shape& shape, const Preprocessing& preprocessing,
                 Placement placement, float* out);
void place_image(const float* image, const Shape& shape, const Preprocessing& preprocessing,
                 Placement placement, float* out);

}  // namespace pare
