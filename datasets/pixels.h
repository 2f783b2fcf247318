// What the elements of images are before preprocessing: which numbers are black and white. Images
// of one kind become those of another by an affine map; numbers of an unknown unit go with their
// like alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/tensor.h"

namespace pare {

struct PixelRange {
  enum class Kind : uint8_t { bytes, floats, unknown };
  Kind kind = Kind::bytes;
  double low = 0, high = 255;  // black and white; of an unknown unit the range that was seen

  bool known() const { return kind != Kind::unknown; }
  bool operator==(const PixelRange&) const = default;
};
std::string to_string(const PixelRange& range);  // "bytes, black 0 and white 255"

// What the elements of `parts` (u8 or f32, on the CPU; undefined ones are skipped) are, by all
// their values. Bytes are 0..255, or 0..1 where there is nothing else; floats are 0..1, -1..1 or
// 0..255 where they plausibly fill it. Anything else, standardized floats say, or bytes that leave
// seven eighths of their range unused, has an unknown unit.
PixelRange observe_pixels(std::span<const Tensor> parts);

// Images (f32, [N,...]) that hold fractions and nothing beyond 0..1: of another unit, where the
// others are 0..255.
int64_t fraction_images(const Tensor& images);

// Whether all elements lie in [low, high]; looks no further than the first that does not.
bool all_within(const Tensor& images, double low, double high);

// Whether images of both ranges can be of one unit: equal black and white, or values of an unknown
// unit that lie within the known one and fill an eighth of it, or two unknown ones that are alike.
bool same_unit(const PixelRange& a, const PixelRange& b);

// x -> x * factor + offset, from what `from` calls black and white to what `to` does. Throws
// Error{bad_input} naming both where that is not known, unless both have the same unknown unit, as
// far as their values tell: neither goes beyond the other by more than its own extent.
struct PixelMap {
  double factor = 1, offset = 0;
};
PixelMap map_pixels(const PixelRange& from, const PixelRange& to);

}  // namespace pare
