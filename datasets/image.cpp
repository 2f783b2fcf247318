#include "datasets/image.h"

#include <algorithm>
#include <cmath>

namespace pare {
namespace {

constexpr int64_t gap = 2;  // pixels between the images of a sheet

// Whole numbers, so that grey as three equal channels is that grey exactly.
constexpr int64_t red = 299, green = 587, blue = 114, whole = 1000;

uint8_t to_byte(double v) { return v > 0 ? uint8_t(std::lround(std::min(v, 255.0))) : 0; }

// The elements of [1,C,H,W] f32 as pixels, `level(channel, element)` each.
template <class Level>
Image draw(const Tensor& input, Level level) {
  const Shape s = input.shape();
  const int64_t n = s[2] * s[3];
  Image out{s[2], s[3], s[1] == 3 ? 3 : 1, {}};
  out.pixels.resize(size_t(n * out.channels));
  for (int64_t c = 0; c < out.channels; ++c)
    for (int64_t i = 0; i < n; ++i)
      out.pixels[size_t(i * out.channels + c)] =
          to_byte(level(c, double(input.data<float>()[c * n + i])));
  return out;
}

}  // namespace

void check_image_shape(const Shape& shape) {
  check(shape.rank() == 3 && (shape[0] == 1 || shape[0] == 3), ErrorCode::bad_input,
        "the network takes inputs of {}, which are no images of 1 or 3 channels", shape);
}

Tensor to_input(const Image& image, const Shape& shape, const Preprocessing& preprocessing) {
  check_image_shape(shape);
  const int64_t channels = shape[0], height = shape[1], width = shape[2];
  const bool grey = channels == 1 && image.channels == 3;
  const auto pixel = [&](int64_t y, int64_t x, int64_t c) -> int64_t {
    const uint8_t* p = image.pixels.data() + (y * image.width + x) * image.channels;
    if (grey) return red * p[0] + green * p[1] + blue * p[2];
    return p[image.channels == 1 ? 0 : c];
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
        int64_t sum = 0;
        for (int64_t i = y0; i < y1; ++i)
          for (int64_t j = x0; j < x1; ++j) sum += pixel(i, j, c);
        const int64_t weight = (y1 - y0) * (x1 - x0) * (grey ? whole : 1);
        row[size_t(x)] = float(double(sum) / double(weight));
      }
      preprocessing.apply(row.data(), out.data<float>() + (c * height + y) * width, width, c);
    }
  return out;
}

Image to_image(const Tensor& input, const Preprocessing& preprocessing) {
  return draw(input, [&](int64_t c, double v) {
    const Preprocessing::Affine f = preprocessing.affine(c);
    return (v - double(f.b)) / double(f.a);
  });
}

Image to_image(const Examples& examples, int64_t i, double low, double high) {
  const double extent = high > low ? high - low : 1;
  return draw(examples.images.rows(i, i + 1).to(DType::f32),
              [&](int64_t, double v) { return (v - low) / extent * 255; });
}

int64_t contact_sheet_capacity(int64_t height, int64_t width) {
  return std::max<int64_t>(1, max_image_pixels / 4 / ((height + gap) * (width + gap)));
}

Image contact_sheet(std::span<const Image> images) {
  check(!images.empty(), "a sheet of no images");
  const Image& first = images[0];
  const int64_t n = int64_t(images.size()), columns = std::min<int64_t>(n, 10);
  check(n <= contact_sheet_capacity(first.height, first.width), "a sheet of {} images of {}x{}", n,
        first.height, first.width);
  const int64_t rows = (n + columns - 1) / columns;
  int64_t scale = std::max<int64_t>(1, 128 / std::max(first.height, first.width));
  if (n > contact_sheet_capacity(first.height * scale, first.width * scale)) scale = 1;
  const int64_t high = first.height * scale + gap, wide = first.width * scale + gap;
  Image sheet{rows * high - gap, columns * wide - gap, 1, {}};
  for (const Image& image : images) sheet.channels = std::max(sheet.channels, image.channels);
  sheet.pixels.assign(size_t(sheet.height * sheet.width * sheet.channels), 128);
  for (int64_t i = 0; i < n; ++i) {
    const Image& image = images[size_t(i)];
    check(image.height == first.height && image.width == first.width,
          "a sheet of images of {}x{} and {}x{}", first.height, first.width, image.height,
          image.width);
    for (int64_t y = 0; y < image.height * scale; ++y)
      for (int64_t x = 0; x < image.width * scale; ++x)
        for (int64_t c = 0; c < sheet.channels; ++c)
          sheet.pixels[size_t(
              ((i / columns * high + y) * sheet.width + i % columns * wide + x) * sheet.channels +
              c)] = image.pixels[size_t((y / scale * image.width + x / scale) * image.channels +
                                        std::min(c, image.channels - 1))];
  }
  return sheet;
}

}  // namespace pare
