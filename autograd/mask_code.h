// How a mask lies in a file, in bytes: the shorter of two codes.
//
//   bits  one bit an element, the first in the lowest bit: n/8 bytes.
//   gaps  for each kept element, in order, how many dropped ones stand before it since the last; a
//         byte of 255 counts 255 dropped ones and keeps none: one byte for each kept element, and
//         few more. Shorter from about seven of eight dropped.
#pragma once

#include <optional>

#include "core/tensor.h"

namespace pare {

struct MaskCode {
  bool gaps = false;
  Tensor bytes;  // u8
};

MaskCode encode_mask(const Tensor& mask);  // u8, 0 drops

Tensor mask_to_bits(const Tensor& mask);
Tensor mask_from_bits(const Tensor& bits, const Shape& shape);
// Nothing where the gaps run past the last element, or end 255 or more before it.
std::optional<Tensor> mask_from_gaps(const Tensor& gaps, const Shape& shape);

}  // namespace pare
