// Reading results of a step back to the host: all of them in one copy, because every copy from a
// device waits for it.
#pragma once

#include <span>

#include "core/tensor.h"

namespace pare {

// The elements of the tensors, one after another, as numbers. All tensors lie on one device; `to`
// has room for exactly their elements.
void fetch(std::span<const Tensor> from, std::span<double> to);

}  // namespace pare
