// Masks that keep more than they must, for tensors of which every element is known, zeros too:
// where a few zeros lie among the elements of tiles or runs that are kept, storing them takes less
// than saying of every element whether it is one.
#pragma once

#include "autograd/mask_code.h"

namespace pare {

struct CoveredMask {
  Tensor mask;  // keeps all that was to be kept
  MaskCode code;
};

// The shortest among the mask itself, tiles of 2^i x 1 and 1 x 2^i elements and runs of 2^i
// columns, up to 64 and 32, for elements of `element_bytes`.
CoveredMask cover_mask(const Tensor& mask, int64_t element_bytes);

}  // namespace pare
