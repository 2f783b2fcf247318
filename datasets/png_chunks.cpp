#include "datasets/png_chunks.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/error.h"

namespace pare {
namespace {

using Bytes = std::span<const uint8_t>;
using namespace std::string_view_literals;

std::string_view text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Kind {
  size_t at;
  std::string_view begins, what;
};
constexpr Kind kinds[] = {
    {0, "\xFF\xD8\xFF", "a JPEG image"},
    {0, "GIF8", "a GIF image"},
    {0, "BM", "a BMP image"},
    {8, "WEBP", "a WebP image"},
    {0, "II*\0"sv, "a TIFF image"},
    {0, "MM\0*"sv, "a TIFF image"},
    {4, "ftypavif", "an AVIF image"},
    {4, "ftyphei", "a HEIC image"},
    {4, "ftypmif1", "a HEIC image"},
    {0, "\xFF\x0A", "a JPEG XL image"},
    {0, "\0\0\0\x0CJXL "sv, "a JPEG XL image"},
    {0, "\0\0\0\x0CjP  "sv, "a JPEG 2000 image"},
    {0, "qoif", "a QOI image"},
    {0, "8BPS", "a Photoshop file"},
    {0, "\0\0\x01\0"sv, "a Windows icon"},
    {0, "%PDF", "a PDF file"},
    {0, "<svg", "an SVG image"},
    {0, "<?xml", "an XML file, perhaps an SVG image"},
    {0, "P5", "a PGM image"},
    {0, "P6", "a PPM image"},
    {0, "\x93NUMPY", "a NumPy array"},
    {0, "PK\x03\x04", "a zip archive"},
    {0, "\x1F\x8B", "a gzip file"},
};

uint64_t number(Bytes bytes, size_t at, size_t count, bool big = true) {
  uint64_t out = 0;
  if (at > bytes.size() || count > bytes.size() - at) return 0;
  for (size_t i = 0; i < count; ++i) out = out << 8 | bytes[at + (big ? i : count - 1 - i)];
  return out;
}

// The data of the first chunk of a kind; empty where there is none.
Bytes chunk(Bytes png, std::string_view kind) {
  for (size_t at = 8; at + 12 <= png.size();) {
    const size_t size = number(png, at, 4);
    if (size > png.size() - at - 12) break;
    if (text(png.subspan(at + 4, 4)) == kind) return png.subspan(at + 8, size);
    at += 12 + size;
  }
  return {};
}

// Tag 274 of the first directory: 1 (upright) to 8; 1 where it does not say.
uint64_t orientation(Bytes exif) {
  const bool big = text(exif).starts_with("MM");
  const size_t directory = number(exif, 4, 4, big);
  const size_t entries = number(exif, directory, 2, big);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (number(exif, entry, 2, big) == 274) return number(exif, entry + 8, 2, big);
  }
  return 1;
}

constexpr std::array<std::string_view, 9> turns{"",
                                                "",
                                                "mirrored",
                                                "turned upside down",
                                                "flipped top to bottom",
                                                "mirrored and turned by 90 degrees to the left",
                                                "turned by 90 degrees to the right",
                                                "mirrored and turned by 90 degrees to the right",
                                                "turned by 90 degrees to the left"};

}  // namespace

void check_png_signature(Bytes bytes, const std::string& name) {
  if (text(bytes).starts_with("\x89PNG\r\n\x1A\n")) return;
  check(!bytes.empty(), ErrorCode::bad_input, "{}: an empty file; pare reads PNG", name);
  check(!text(bytes).starts_with("\x89PNG"), ErrorCode::bad_input,
        "{}: a PNG image whose beginning is damaged (a transfer as text does that)", name);
  for (const Kind& kind : kinds)
    check(bytes.size() < kind.at || !text(bytes.subspan(kind.at)).starts_with(kind.begins),
          ErrorCode::bad_input, "{}: {}; pare reads PNG", name, kind.what);
  fail(ErrorCode::bad_input, "{}: not a PNG image", name);
}

std::vector<std::string> chunk_notes(Bytes png) {
  std::vector<std::string> notes;
  if (const uint64_t turn = orientation(chunk(png, "eXIf")); turn > 1 && turn < turns.size())
    notes.push_back(message("its EXIF data ask for the picture {}; it is taken as it is stored",
                            turns[size_t(turn)]));
  if (const uint64_t frames = number(chunk(png, "acTL"), 0, 4); frames > 1)
    notes.push_back(
        message("an animation of {} pictures; its still picture alone is read", frames));
  return notes;
}

}  // namespace pare
