#include "datasets/image.h"

#include <png.h>

#include <algorithm>

#include "core/file_io.h"

namespace pare {
namespace {

constexpr uint64_t max_file = uint64_t(256) << 20;

// libpng's simplified interface, freed whatever happens.
struct Png {
  png_image image{};
  Png() { image.version = PNG_IMAGE_VERSION; }
  ~Png() { png_image_free(&image); }
};

}  // namespace

Image parse_png(std::span<const uint8_t> bytes, const std::string& name) {
  Png png;
  check(png_image_begin_read_from_memory(&png.image, bytes.data(), bytes.size()) != 0,
        ErrorCode::bad_input, "{}: not a PNG image: {}", name, png.image.message);
  const int64_t height = png.image.height, width = png.image.width;
  check(height > 0 && width > 0 && height <= max_image_pixels / width, ErrorCode::bad_input,
        "{}: {}x{} pixels, at most {} are read", name, height, width, max_image_pixels);
  // Deflate expands at most 1,032 times: a short file cannot hold many pixels.
  check(height * width / 8 / 1100 <= int64_t(bytes.size()), ErrorCode::bad_input,
        "{}: {}x{} pixels in {} bytes: the file is damaged", name, height, width, bytes.size());
  const bool colour = png.image.format & PNG_FORMAT_FLAG_COLOR;
  png.image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  Image out{height, width, colour ? 3 : 1, {}};
  out.pixels.resize(PNG_IMAGE_SIZE(png.image));
  const png_color black{0, 0, 0};
  check(png_image_finish_read(&png.image, &black, out.pixels.data(), 0, nullptr) != 0,
        ErrorCode::bad_input, "{}: damaged PNG image: {}", name, png.image.message);
  return out;
}

Image read_png(const std::string& path) { return parse_png(read_file(path, max_file), path); }

void write_png(const Image& image, const std::string& path) {
  Png png;
  png.image.width = png_uint_32(image.width);
  png.image.height = png_uint_32(image.height);
  png.image.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png.image);
  std::vector<uint8_t> bytes(size);
  check(png_image_write_to_memory(&png.image, bytes.data(), &size, 0, image.pixels.data(), 0,
                                  nullptr) != 0,
        ErrorCode::io, "{}: cannot be written as PNG: {}", path, png.image.message);
  const std::span<const uint8_t> part(bytes.data(), size);
  write_file_atomically(path, {&part, 1});
}

Tensor to_input(const Image& image, const Shape& shape, const Preprocessing& preprocessing) {
  check(shape.rank() == 3 && (shape[0] == 1 || shape[0] == 3), ErrorCode::bad_input,
        "the network takes inputs of {}, which are no images of 1 or 3 channels", shape);
  const int64_t channels = shape[0], height = shape[1], width = shape[2];
  const auto pixel = [&](int64_t y, int64_t x, int64_t c) {
    const uint8_t* p = image.pixels.data() + (y * image.width + x) * image.channels;
    if (image.channels == channels) return float(p[c]);
    return image.channels == 1 ? float(p[0])
                               : 0.299f * float(p[0]) + 0.587f * float(p[1]) + 0.114f * float(p[2]);
  };
  const Tensor out = Tensor::empty({1, channels, height, width});
  std::vector<float> row(static_cast<size_t>(width));
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t y = 0; y < height; ++y) {
      const int64_t y0 = y * image.height / height;
      const int64_t y1 = std::max(y0 + 1, (y + 1) * image.height / height);
      for (int64_t x = 0; x < width; ++x) {
        const int64_t x0 = x * image.width / width;
        const int64_t x1 = std::max(x0 + 1, (x + 1) * image.width / width);
        double sum = 0;
        for (int64_t i = y0; i < y1; ++i)
          for (int64_t j = x0; j < x1; ++j) sum += double(pixel(i, j, c));
        row[size_t(x)] = float(sum / double((y1 - y0) * (x1 - x0)));
      }
      preprocessing.apply(row.data(), out.data<float>() + (c * height + y) * width, width, c);
    }
  return out;
}

}  // namespace pare
