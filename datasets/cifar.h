// CIFAR-10 and CIFAR-100 in their binary form: records of one label byte (CIFAR-100: coarse, then
// fine), then 32x32 bytes of red, of green and of blue. Plain or gzipped.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace pare {

struct CifarLayout {
  int64_t records = 10000;  // how many a file holds, exactly
  int64_t label_bytes = 1;  // the last of them is the label
  int64_t classes = 10;
};

// Examples of the files one after another, u8 N,3,32,32. A file of any other size, or a label
// outside [0, classes), throws Error{bad_input} with its path.
Examples read_cifar(const std::vector<std::string>& paths, const CifarLayout& layout);
// One file from memory; `name` is used in messages.
Examples parse_cifar(std::span<const uint8_t> bytes, const std::string& name,
                     const CifarLayout& layout);

}  // namespace pare
