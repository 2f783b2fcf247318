// The members of a zip archive in memory (PKWARE APPNOTE 6.3): stored or deflated, zip64 too.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pare {

struct ZipMember {
  std::string name;
  int method = 0;  // 0 stored, 8 deflated
  uint32_t crc = 0;
  uint64_t compressed = 0, size = 0, offset = 0;  // bytes; offset of the local header
};

// Throws Error{bad_input} where `bytes` is no such archive; `name` is used in messages.
std::vector<ZipMember> list_zip(std::span<const uint8_t> bytes, const std::string& name);
// One member's bytes, its checksum compared.
std::vector<uint8_t> extract_zip(std::span<const uint8_t> bytes, const ZipMember& member,
                                 const std::string& name);

}  // namespace pare
