// Whether something is the same as it was: 64 bits of hash (XXH3), at the speed of memory.
#pragma once

#include <cstdint>
#include <string>

#include "core/tensor.h"

namespace pare {

// Of type, shape and elements; 0 for a tensor that is not defined.
uint64_t fingerprint(const Tensor& tensor);
// Of a file's bytes. Throws what open_file throws.
uint64_t fingerprint_file(const std::string& path);

}  // namespace pare
