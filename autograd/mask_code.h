// How a mask lies in a file, in bytes: the shortest of these codes.
//
//   bits   one bit an element, the first in the lowest bit: n/8 bytes.
//   gaps   for each kept element, in order, how many dropped ones stand before it since the last; a
//          byte of 255 counts 255 dropped ones and keeps none: one byte for each kept element, and
//          few more. Shorter from about seven of eight dropped.
//   tiles  of R x C elements of the weight's matrix (weight_matrix.h), smaller at its edges, that
//          the mask keeps or drops whole: bits or gaps of the tiles, row by row.
//   runs   of M columns, the last of a row shorter, of which the mask keeps N, or their share
//          rounded up: each run's number among its patterns (run_code.h).
#pragma once

#include <optional>

#include "core/tensor.h"

namespace pare {

struct MaskCode {
  int64_t tile_rows = 1, tile_columns = 1;  // 1x1: single elements
  int keep = 0, of = 0;                     // N and M of runs; 0: bits or gaps
  bool gaps = false;
  Tensor bytes = {};  // u8

  bool runs() const { return of > 0; }
  bool tiles() const { return tile_rows != 1 || tile_columns != 1; }
  bool plain_bits() const { return !runs() && !tiles() && !gaps; }
  bool in_matrix_order() const { return runs() || tiles(); }
};

// Masks are u8, 0 drops; `stored` bytes of the file hold the elements behind the mask. A byte of
// code and stored elements stands for 256 elements at most, so that a small file cannot ask for
// much memory; tiles that would say more are not used.
MaskCode encode_mask(const Tensor& mask, int64_t stored);
MaskCode encode_as_bits(const Tensor& mask);
// Nothing where the bytes are no mask of this shape in this code: too many or few, gaps that run
// past the last element or end 255 or more before it, tiles larger than the matrix, patterns that
// are none, or more elements than the bytes may stand for.
std::optional<Tensor> decode_mask(const MaskCode& code, const Shape& shape, int64_t stored);

}  // namespace pare
