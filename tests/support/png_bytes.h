// PNG files written chunk by chunk: any kind that the format knows, and damaged ones.
#pragma once

#include <zlib.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pare::testing {

using Bytes = std::vector<uint8_t>;

inline void put32(Bytes& to, uint32_t v) {
  for (const int shift : {24, 16, 8, 0}) to.push_back(uint8_t(v >> shift));
}

inline Bytes png_chunk(std::string_view kind, const Bytes& data) {
  Bytes out;
  out.reserve(data.size() + 12);
  put32(out, uint32_t(data.size()));
  out.insert(out.end(), kind.begin(), kind.end());
  out.insert(out.end(), data.begin(), data.end());
  put32(out, uint32_t(::crc32(0, out.data() + 4, uInt(out.size() - 4))));
  return out;
}

struct PngKind {
  int bits = 8, colour = 0;  // colour: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA
  Bytes extra = {};          // chunks between IHDR and IDAT
  bool interlaced = false;

  size_t channels() const { return colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1; }
};

// `samples`, each below 2^bits, row by row.
inline Bytes png_bytes(uint32_t height, uint32_t width, const PngKind& kind,
                       const std::vector<uint32_t>& samples) {
  Bytes raw;
  const auto pass = [&](uint32_t y0, uint32_t x0, uint32_t dy, uint32_t dx) {
    for (uint32_t y = y0; x0 < width && y < height; y += dy) {
      raw.push_back(0);  // no filter
      uint32_t held = 0, bits = 0;
      for (uint32_t x = x0; x < width; x += dx)
        for (size_t c = 0; c < kind.channels(); ++c) {
          held = held << kind.bits | samples[(y * width + x) * kind.channels() + c];
          for (bits += uint32_t(kind.bits); bits >= 8; bits -= 8)
            raw.push_back(uint8_t(held >> (bits - 8)));
        }
      if (bits) raw.push_back(uint8_t(held << (8 - bits)));
    }
  };
  if (kind.interlaced)
    for (const auto& [y0, x0, dy, dx] : std::vector<std::array<uint32_t, 4>>{{0, 0, 8, 8},
                                                                             {0, 4, 8, 8},
                                                                             {4, 0, 8, 4},
                                                                             {0, 2, 4, 4},
                                                                             {2, 0, 4, 2},
                                                                             {0, 1, 2, 2},
                                                                             {1, 0, 2, 1}})
      pass(y0, x0, dy, dx);
  else
    pass(0, 0, 1, 1);
  uLongf size = ::compressBound(uLong(raw.size()));
  Bytes packed(size);
  ::compress(packed.data(), &size, raw.data(), uLong(raw.size()));
  packed.resize(size);

  Bytes header;
  put32(header, width);
  put32(header, height);
  for (const int v : {kind.bits, kind.colour, 0, 0, int(kind.interlaced)})
    header.push_back(uint8_t(v));
  Bytes out{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  for (const Bytes& part :
       {png_chunk("IHDR", header), kind.extra, png_chunk("IDAT", packed), png_chunk("IEND", {})})
    out.insert(out.end(), part.begin(), part.end());
  return out;
}

}  // namespace pare::testing
