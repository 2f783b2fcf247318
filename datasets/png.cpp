// PNG in and out. The reader asks libpng for the numbers of the file alone, without its colour
// management (gAMA, sRGB, iCCP): data sets hold the same numbers.
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <limits>

#include "core/file_io.h"
#include "datasets/image.h"
#include "datasets/png_chunks.h"

namespace pare {
namespace {

constexpr uint64_t max_file = uint64_t(256) << 20;

struct Reader {
  explicit Reader(std::span<const uint8_t> bytes) : rest(bytes) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png) info = png_create_info_struct(png);
    if (!info) png_destroy_read_struct(&png, nullptr, nullptr);
    check(info, ErrorCode::io, "libpng {} cannot begin to read", png_get_libpng_ver(nullptr));
    png_set_read_fn(png, this, read);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }

  // Makes calls of libpng; false where one failed, with its text in `error`. The failure jumps
  // over `calls`, which therefore must own nothing.
  template <class F>
  bool guarded(F calls) {
    if (setjmp(png_jmpbuf(png))) return false;
    calls();
    return true;
  }

  static void read(png_structp png, png_bytep to, size_t n) {
    auto& rest = static_cast<Reader*>(png_get_io_ptr(png))->rest;
    if (n > rest.size()) png_error(png, "the file ends too early");
    std::memcpy(to, rest.data(), n);
    rest = rest.subspan(n);
  }
  static void keep(char (&to)[128], png_const_charp text) {
    std::strncpy(to, text ? text : "", sizeof to - 1);
  }
  static void on_error(png_structp png, png_const_charp text) {
    keep(static_cast<Reader*>(png_get_error_ptr(png))->error, text);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp png, png_const_charp text) {
    keep(static_cast<Reader*>(png_get_error_ptr(png))->warning, text);
  }

  std::span<const uint8_t> rest;
  png_structp png = nullptr;
  png_infop info = nullptr;
  char error[128] = "", warning[128] = "";
};

// What the pixels showed while they were laid over black.
struct Seen {
  uint32_t least_alpha = std::numeric_limits<uint32_t>::max(), most_alpha = 0, largest = 0;
  int64_t colour = -1;  // of the visible pixels: of the first one, as 48 bits
  bool one_colour = true;
};

// Pixels of T (bytes, or pairs of bytes) with `from` channels, the last of an even number alpha,
// to every `step`-th pixel of `out`, as bytes over black.
template <class T>
void place(const uint8_t* row, int64_t n, int from, uint8_t* out, int64_t step, Seen& seen) {
  constexpr uint64_t max = std::numeric_limits<T>::max();
  const int colours = from < 3 ? 1 : 3;
  const auto sample = [row](int64_t i) -> uint64_t {
    return sizeof(T) == 1 ? row[i] : uint64_t(row[2 * i]) << 8 | row[2 * i + 1];
  };
  for (int64_t x = 0; x < n; ++x, out += step * colours) {
    const uint64_t alpha = from > colours ? sample(x * from + colours) : max;
    int64_t colour = 0;
    for (int c = 0; c < colours; ++c) {
      const uint64_t v = sample(x * from + c);
      out[c] = uint8_t((v * alpha * 255 + max * max / 2) / (max * max));
      colour = colour << 16 | int64_t(v);
      seen.largest = std::max(seen.largest, uint32_t(v));
    }
    seen.least_alpha = std::min(seen.least_alpha, uint32_t(alpha));
    seen.most_alpha = std::max(seen.most_alpha, uint32_t(alpha));
    if (alpha > 0) {
      if (seen.colour < 0) seen.colour = colour;
      seen.one_colour = seen.one_colour && colour == seen.colour;
    }
  }
}

// The colours of a palette with their alpha. libpng would read what lies beyond it as black.
struct Palette {
  explicit Palette(Reader& r) {
    png_colorp rgb = nullptr;
    if (png_get_PLTE(r.png, r.info, &rgb, &size) == 0) return;
    png_bytep alpha = nullptr;
    int alphas = 0;
    if (png_get_tRNS(r.png, r.info, &alpha, &alphas, nullptr) == 0) alphas = 0;
    for (int i = 0; i < size; ++i)
      colours[size_t(i)] = {rgb[i].red, rgb[i].green, rgb[i].blue,
                            i < alphas ? alpha[i] : uint8_t(255)};
  }
  // The colours of `n` indices; the largest index.
  int look_up(const uint8_t* row, int64_t n, uint8_t* out) const {
    int largest = 0;
    for (int64_t x = 0; x < n; ++x) {
      std::copy_n(colours[row[x]].data(), 4, out + 4 * x);
      largest = std::max(largest, int(row[x]));
    }
    return largest;
  }
  std::array<std::array<uint8_t, 4>, 256> colours{};
  int size = 0;
};

// The pictures that a file holds: one, or seven smaller ones where it is interlaced, whose pixels
// lie apart in the whole.
struct Pass {
  int64_t y = 0, x = 0, dy = 1, dx = 1;
};
std::vector<Pass> passes_of(const Reader& r) {
  if (png_get_interlace_type(r.png, r.info) == PNG_INTERLACE_NONE) return {Pass{}};
  std::vector<Pass> out;
  for (int i = 0; i < PNG_INTERLACE_ADAM7_PASSES; ++i)
    out.push_back({PNG_PASS_START_ROW(i), PNG_PASS_START_COL(i), PNG_PASS_ROW_OFFSET(i),
                   PNG_PASS_COL_OFFSET(i)});
  return out;
}

std::vector<std::string> notes_of(const Reader& png, std::span<const uint8_t> bytes,
                                  const Seen& seen, int bits) {
  std::vector<std::string> notes;
  if (seen.most_alpha == 0)
    notes.push_back("every pixel is transparent: over black, the picture is black");
  else if (seen.one_colour && seen.least_alpha != seen.most_alpha)
    notes.push_back(
        "its alpha alone draws the picture, all that is visible has one colour; it is laid over "
        "black");
  if (bits == 16 && seen.largest > 0 && seen.largest < 4096)
    notes.push_back(
        message("of its 16 bits the upper four are never used (the largest number is {} "
                "of 65535): a dark picture",
                seen.largest));
  if (*png.warning) notes.push_back(message("libpng warns: {}", png.warning));
  for (const std::string& note : chunk_notes(bytes)) notes.push_back(note);
  return notes;
}

}  // namespace

Image parse_png(std::span<const uint8_t> bytes, const std::string& name) {
  check_png_signature(bytes, name);
  Reader r(bytes);
  const auto need = [&](bool done) {
    check(done, ErrorCode::bad_input, "{}: damaged PNG image: {}", name, r.error);
  };
  need(r.guarded([&] {
    png_set_keep_unknown_chunks(r.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_read_info(r.png, r.info);
  }));
  const int64_t height = png_get_image_height(r.png, r.info);
  const int64_t width = png_get_image_width(r.png, r.info);
  check(height <= max_image_pixels / width, ErrorCode::bad_input,
        "{}: {}x{} pixels, at most {} are read", name, height, width, max_image_pixels);
  // Deflate expands at most 1,032 times: a short file cannot hold many pixels.
  check(height * int64_t(png_get_rowbytes(r.png, r.info)) / 1100 <= int64_t(bytes.size()),
        ErrorCode::bad_input, "{}: {}x{} pixels in {} bytes: the file is damaged", name, height,
        width, bytes.size());
  const bool indexed = png_get_color_type(r.png, r.info) == PNG_COLOR_TYPE_PALETTE;
  const Palette palette(r);
  need(r.guarded([&] {
    if (indexed)
      png_set_packing(r.png);  // a byte an index
    else
      png_set_expand(r.png);  // 1 to 4 bits to 8, tRNS to alpha
    png_read_update_info(r.png, r.info);
  }));
  const int from = indexed ? 4 : png_get_channels(r.png, r.info);
  const int bits = png_get_bit_depth(r.png, r.info);
  Image out{height, width, from < 3 ? 1 : 3, {}};
  out.pixels.resize(size_t(height * width * out.channels));
  std::vector<uint8_t> row(png_get_rowbytes(r.png, r.info));
  std::vector<uint8_t> looked_up(indexed ? size_t(width) * 4 : 0);
  Seen seen;
  for (const Pass& pass : passes_of(r)) {
    const int64_t n = (width - pass.x + pass.dx - 1) / pass.dx;
    for (int64_t y = pass.y; n > 0 && y < height; y += pass.dy) {
      need(r.guarded([&] { png_read_row(r.png, row.data(), nullptr); }));
      if (indexed) {
        const int largest = palette.look_up(row.data(), n, looked_up.data());
        check(largest < palette.size, ErrorCode::bad_input,
              "{}: damaged PNG image: colour {} of a palette of {}", name, largest, palette.size);
      }
      const auto put = bits == 16 ? place<uint16_t> : place<uint8_t>;
      put(indexed ? looked_up.data() : row.data(), n, from,
          out.pixels.data() + (y * width + pass.x) * out.channels, pass.dx, seen);
    }
  }
  out.notes = notes_of(r, bytes, seen, bits);
  return out;
}

Image read_png(const std::string& path) { return parse_png(read_file(path, max_file), path); }

void write_png(const Image& image, const std::string& path) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = png_uint_32(image.width);
  png.height = png_uint_32(image.height);
  png.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::vector<uint8_t> bytes(size);
  // It frees what it allocated, whatever happens.
  check(
      png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) != 0,
      ErrorCode::io, "{}: cannot be written as PNG: {}", path, png.message);
  const std::span<const uint8_t> part(bytes.data(), size);
  write_file_atomically(path, {&part, 1});
}

}  // namespace pare
