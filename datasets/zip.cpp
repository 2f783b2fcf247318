#include "datasets/zip.h"

#include <zlib.h>

#include <algorithm>

#include "datasets/gzip.h"

namespace pare {
namespace {

constexpr size_t end_bytes = 22, central_bytes = 46, local_bytes = 30;

// Little-endian numbers at checked places.
class Bytes {
 public:
  Bytes(std::span<const uint8_t> bytes, const std::string& name) : bytes_(bytes), name_(name) {}
  uint64_t number(uint64_t at, int count) const {
    need(at, uint64_t(count));
    uint64_t value = 0;
    for (int i = 0; i < count; ++i) value |= uint64_t(bytes_[size_t(at) + size_t(i)]) << (8 * i);
    return value;
  }
  void need(uint64_t at, uint64_t count) const {
    expect(at <= bytes_.size() && count <= bytes_.size() - at, name_,
           "damaged zip archive: {} bytes at {} of {}", count, at, bytes_.size());
  }
  void signature(uint64_t at, uint32_t wanted, const char* what) const {
    expect(number(at, 4) == wanted, name_, "damaged zip archive: no {} at {}", what, at);
  }

 private:
  std::span<const uint8_t> bytes_;
  const std::string& name_;
};

uint64_t find_end(std::span<const uint8_t> bytes, const std::string& name) {
  // A comment of up to 65535 bytes may follow.
  const size_t first = bytes.size() > end_bytes + 65535 ? bytes.size() - end_bytes - 65535 : 0;
  for (size_t at = bytes.size() >= end_bytes ? bytes.size() - end_bytes + 1 : 0; at-- > first;)
    if (Bytes(bytes, name).number(at, 4) == 0x06054b50) return at;
  expect(false, name, "not a zip archive (.npz), or its end is missing");
  return 0;
}

}  // namespace

std::vector<ZipMember> list_zip(std::span<const uint8_t> bytes, const std::string& name) {
  const Bytes b(bytes, name);
  const uint64_t end = find_end(bytes, name);
  uint64_t count = b.number(end + 10, 2), at = b.number(end + 16, 4);
  if (count == 0xFFFF || at == 0xFFFFFFFF) {
    expect(end >= 20, name, "damaged zip archive: no zip64 locator");
    b.signature(end - 20, 0x07064b50, "zip64 locator");
    const uint64_t wide = b.number(end - 12, 8);
    b.signature(wide, 0x06064b50, "zip64 end");
    count = b.number(wide + 32, 8);
    at = b.number(wide + 48, 8);
  }
  expect(count <= bytes.size() / central_bytes, name, "damaged zip archive: {} members", count);
  std::vector<ZipMember> members;
  for (uint64_t i = 0; i < count; ++i) {
    b.signature(at, 0x02014b50, "directory entry");
    ZipMember m;
    m.method = int(b.number(at + 10, 2));
    m.crc = uint32_t(b.number(at + 16, 4));
    m.compressed = b.number(at + 20, 4);
    m.size = b.number(at + 24, 4);
    m.offset = b.number(at + 42, 4);
    const uint64_t name_bytes = b.number(at + 28, 2), extra_bytes = b.number(at + 30, 2);
    const uint64_t comment_bytes = b.number(at + 32, 2), extra = at + central_bytes + name_bytes;
    b.need(at + central_bytes, name_bytes + extra_bytes + comment_bytes);
    const auto from = bytes.begin() + std::ptrdiff_t(at + central_bytes);
    m.name.assign(from, from + std::ptrdiff_t(name_bytes));
    expect((b.number(at + 8, 2) & 1) == 0, name, "member '{}' is encrypted", m.name);
    // The zip64 field holds those of size, compressed and offset that did not fit, in that order.
    for (uint64_t e = extra; e + 4 <= extra + extra_bytes; e += 4 + b.number(e + 2, 2)) {
      if (b.number(e, 2) != 1) continue;
      uint64_t next = e + 4;
      for (uint64_t* field : {&m.size, &m.compressed, &m.offset})
        if (*field == 0xFFFFFFFF) {
          *field = b.number(next, 8);
          next += 8;
        }
    }
    members.push_back(std::move(m));
    at = extra + extra_bytes + comment_bytes;
  }
  return members;
}

std::vector<uint8_t> extract_zip(std::span<const uint8_t> bytes, const ZipMember& member,
                                 const std::string& name) {
  const Bytes b(bytes, name);
  b.signature(member.offset, 0x04034b50, "member");
  const uint64_t begin = member.offset + local_bytes + b.number(member.offset + 26, 2) +
                         b.number(member.offset + 28, 2);
  b.need(begin, member.compressed);
  const auto packed = bytes.subspan(size_t(begin), size_t(member.compressed));
  std::vector<uint8_t> out;
  if (member.method == 0) {
    expect(member.size == member.compressed, name,
           "damaged zip archive: {} stored bytes, {} declared", member.compressed, member.size);
    out.assign(packed.begin(), packed.end());
  } else {
    expect(member.method == 8, name, "compression method {}, expected stored or deflated",
           member.method);
    expect(member.size < uint64_t(1) << 40, name, "declares {} bytes", member.size);
    Inflater inflater(packed, name, Inflater::Wrapping::none);
    inflater.expect_room(int64_t(member.size));
    out.resize(size_t(member.size));
    expect(inflater.read(out) == out.size(), name, "fewer bytes than the {} declared", member.size);
    inflater.finish();
  }
  uint32_t crc = 0;
  for (size_t at = 0; at < out.size(); at += size_t(1) << 30)
    crc = uint32_t(crc32(crc, out.data() + at, uInt(std::min(out.size() - at, size_t(1) << 30))));
  expect(crc == member.crc, name, "the checksum is {}, the archive says {}", crc, member.crc);
  return out;
}

}  // namespace pare
