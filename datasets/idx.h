// IDX files (MNIST's format), plain or gzipped: big-endian header {0, 0, type, rank, extents...},
// then the elements. Only unsigned bytes are read, which is what images and labels are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pare {

struct IdxFile {
  std::vector<int64_t> extents;
  std::vector<uint8_t> bytes;
};

// Reads and checks a file; gzip is recognized by its first bytes. At most 1 GiB of elements. Throws
// Error{bad_input} that names the file, what was found and what was expected.
IdxFile read_idx(const std::string& path);
// The same from memory; `name` is used in messages.
IdxFile parse_idx(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace pare
