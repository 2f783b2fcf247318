// One array of NumPy's .npy format (numpy.lib.format), checked against the bytes at hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace pare {

struct NpyArray {
  Shape shape;
  char kind = 'u';  // 'u', 'i' or 'f'
  int item_bytes = 1;
  bool big_endian = false, fortran = false;
  size_t data_offset = 0;  // of the first element in `bytes`
  std::vector<uint8_t> bytes;

  // Element at C-order place i of the array, as a double. 64-bit integers beyond 2^53 lose bits.
  double at(int64_t i) const;
};

// Takes the bytes of a whole .npy file. `name` is used in messages; Error{bad_input}.
NpyArray parse_npy(std::vector<uint8_t> bytes, const std::string& name);

}  // namespace pare
