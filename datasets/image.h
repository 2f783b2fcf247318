// Pictures: PNG files, what a network is given for one, and what it was given as a picture again.
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
  std::vector<std::string> notes = {};  // what of the file the pixels do not show
};

constexpr int64_t max_image_pixels = int64_t(64) << 20;

// Any PNG: grey or colour, palette, 1 to 16 bits, interlaced. The numbers are those of the file,
// whatever it says of gamma or colour profiles: 16 bits v become round(v / 257), fewer bits are
// spread over 0..255, and transparent pixels are laid over black, in the same numbers. Notes name
// what a viewer would show otherwise. Throws Error{bad_input} naming the file and what is wrong
// with it, also for more than max_image_pixels.
Image read_png(const std::string& path);
Image parse_png(std::span<const uint8_t> bytes, const std::string& name);
// Written atomically. Throws Error{io}.
void write_png(const Image& image, const std::string& path);

// Throws Error{bad_input} unless {C,H,W} is a shape of images: 1 or 3 channels.
void check_image_shape(const Shape& shape);
// The image as a network takes it: [1,C,H,W] f32 for shape {C,H,W}. Resized by averaging areas
// (nearest pixels when it grows), colour turned to grey (Rec. 601: 0.299 R + 0.587 G + 0.114 B) or
// grey repeated, then preprocessed.
Tensor to_input(const Image& image, const Shape& shape, const Preprocessing& preprocessing);
// The way back: what a network was given, [1,C,H,W] f32, as pixels.
Image to_image(const Tensor& input, const Preprocessing& preprocessing);
// Example `i` of a data set: of its elements, `low` becomes 0 and `high`, where it is above, 255.
// Three channels are a colour; of other numbers the first is drawn, grey.
Image to_image(const Examples& examples, int64_t i, double low, double high);

// What speaks against the answer for `image`, which became `input`: its own notes; all pixels
// became one colour; its proportions or size differ a lot; it is dark on light where the data that
// the preprocessing was measured on are light on dark, or the reverse (networks of one channel).
std::vector<std::string> picture_notes(const Image& image, const Tensor& input,
                                       const Preprocessing& preprocessing);

// Images of one size in rows of at most ten, enlarged where they are small. At most
// contact_sheet_capacity of them.
Image contact_sheet(std::span<const Image> images);
int64_t contact_sheet_capacity(int64_t height, int64_t width);

}  // namespace pare
