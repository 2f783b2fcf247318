#include "core/text.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace pare {
namespace {

// The character that `text` begins with, and its bytes; none where it is no UTF-8.
struct Character {
  uint32_t code = 0;
  size_t bytes = 0;
};
Character first_of(std::string_view text) {
  const auto byte = [&](size_t i) { return uint32_t(uint8_t(text[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xc2 && lead < 0xe0   ? 2
                       : lead >= 0xe0 && lead < 0xf0 ? 3
                       : lead >= 0xf0 && lead < 0xf5 ? 4
                                                     : 0;
  if (bytes == 0 || bytes > text.size()) return {};
  uint32_t code = lead & (0xffu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = code < (bytes == 2 ? 0x80u : bytes == 3 ? 0x800u : 0x10000u);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return overlong || surrogate || code > 0x10ffff ? Character{} : Character{code, bytes};
}

bool between(uint32_t code, uint32_t first, uint32_t last) { return code >= first && code <= last; }

bool commands(uint32_t code) {
  return (code < 0x20 && code != '\n' && code != '\t') || between(code, 0x7f, 0x9f) ||
         between(code, 0x200e, 0x200f) || between(code, 0x2028, 0x202e) ||
         between(code, 0x2066, 0x2069);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character c = first_of(text);
    if (c.bytes == 0) {
      out += "\xef\xbf\xbd";
    } else if (commands(c.code)) {
      char escape[16];
      std::snprintf(escape, sizeof escape, "\\u%04x", unsigned(c.code));
      out += escape;
    } else {
      out += text.substr(0, c.bytes);
    }
    text.remove_prefix(std::max<size_t>(c.bytes, 1));
  }
  return out;
}

}  // namespace pare
