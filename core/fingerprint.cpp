#include "core/fingerprint.h"

#include "core/file_io.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pare {

uint64_t fingerprint(const Tensor& tensor) {
  if (!tensor.defined()) return 0;
  const Tensor plain = tensor.to(Device{}).plain();
  const std::string type = message("{} {}", plain.dtype(), plain.shape());
  return XXH3_64bits_withSeed(plain.raw(), plain.bytes(), XXH3_64bits(type.data(), type.size()));
}

uint64_t fingerprint_file(const std::string& path) {
  const auto bytes = read_file(path, uint64_t(1) << 40);
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace pare
