// Places in nhwc arrays by element number.
#pragma once

#include "cuda/divisor.h"

namespace pare::cuda {

struct Pixel {
  int64_t image;
  int i, j, c;
};

// Arrays of height x width pixels an image, channels innermost.
struct PixelGrid {
  Divisor height, width, channels;
  PixelGrid(int64_t h, int64_t w, int64_t c) : height(h), width(w), channels(c) {}
  // Pixel and channel of element e.
  PARE_HD Pixel of_element(int64_t e) const {
    const int64_t pixel = channels.divide(e);
    Pixel p = of_pixel(pixel);
    p.c = int(e - pixel * channels.value);
    return p;
  }
  PARE_HD Pixel of_pixel(int64_t pixel) const {
    const int64_t line = width.divide(pixel), image = height.divide(line);
    return {image, int(line - image * height.value), int(pixel - line * width.value), 0};
  }
};

}  // namespace pare::cuda
