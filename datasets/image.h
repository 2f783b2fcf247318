// PNG images: reading for `pare predict`, writing for pictures of data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace pare {

// Pixels as they lie in a file: rows from the top, channels innermost, 8 bits each.
struct Image {
  int64_t height = 0, width = 0, channels = 0;  // 1 (grey) or 3 (colour)
  std::vector<uint8_t> pixels;
};

constexpr int64_t max_image_pixels = int64_t(64) << 20;

// Any PNG: grey or colour, palette, 1 to 16 bits; transparency is laid over black. Throws
// Error{bad_input} naming the file and what is wrong with it, also for more than max_image_pixels.
Image read_png(const std::string& path);
Image parse_png(std::span<const uint8_t> bytes, const std::string& name);
// Written atomically. Throws Error{io}.
void write_png(const Image& image, const std::string& path);

// The image as a network takes it: [1,C,H,W] f32 for shape {C,H,W}. Resized by averaging areas
// (nearest pixels when it grows), colour turned to grey (Rec. 601) or grey repeated, then
// preprocessed.
Tensor to_input(const Image& image, const Shape& shape, const Preprocessing& preprocessing);

}  // namespace pare
