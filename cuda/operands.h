// Operands of a matrix product, fetched by rows and depth from where they lie: C[i][j] = sum over k
// of A[i][k] B[j][k]. A matrix, the windows of images, and filters are such operands, which makes
// a convolution a product without a copy of its windows (implicit GEMM; Chetlur et al. 2014,
// "cuDNN: Efficient Primitives for Deep Learning").
//
// place(row, group) works out once what belongs to a row, at(k) what belongs to a depth;
// fetch(place, depth) gives `width` elements: of rows on where `across`, else of depth k and on;
// zeros outside of the operand. Rows, depth and addresses of operands with a width above 1 are
// multiples of it.
#pragma once

#include <type_traits>

#include "cuda/device.h"
#include "cuda/divisor.h"

namespace pare::cuda {

// Neighbours in memory belong to neighbouring rows (across) or depths.
template <class T, bool across_, int width_>
struct Matrix {
  using Element = T;
  static constexpr bool across = across_;
  static constexpr int width = width_;
  struct Place {
    const T* p;
    bool inside;
  };
  const T* p;
  int64_t step;  // between depths (across) or rows
  int rows, depth;
  int64_t group_step = 0;

  PARE_DEVICE Place place(int row, int group) const {
    return {p + group * group_step + row * (across ? 1 : step), row < rows};
  }
  PARE_DEVICE int at(int k) const { return k; }
  PARE_DEVICE Vector<T, width> fetch(const Place& at, int k) const {
    if (!at.inside || k >= depth) return {};
    return load<width>(at.p + k * (across ? step : 1));
  }
};

// The windows of nhwc images. Pixels (n, i, j) of a grid; elements (a, b, c) of each one's window:
//   x[n][i step + offset_h + a tap_step_h][j step + offset_w + b tap_step_w][group][c].
// Pixels are rows and elements depths, or the reverse (across).
struct WindowGeometry {
  int h, w, pixel_stride;    // of the images
  int image;                 // elements from one to the next
  int pixels, elements;      // of the grid, of a window
  Divisor grid, grid_w;      // pixels of an image's grid and of its rows
  Divisor channels, taps_w;  // of a window
  int step, offset_h, offset_w, tap_step_h, tap_step_w;
};
template <class T, bool across_, int width_>
struct Windows {
  using Element = T;
  static constexpr bool across = across_;
  static constexpr int width = width_;
  // Of a pixel and of an element; both together are a row and column of the image, and an address.
  struct Pixel {
    const T* p;
    int i, j;
  };
  struct Tap {
    int offset, i, j;
  };
  using Place = std::conditional_t<across, Tap, Pixel>;
  static constexpr int outside = -(1 << 30);  // no image has so many rows: no sum with it is one
  const T* x;
  WindowGeometry g;

  // An image has less than 2^31 elements.
  PARE_DEVICE int offset_of(int i, int j) const { return (i * g.w + j) * g.pixel_stride; }
  PARE_DEVICE Pixel of_pixel(int p) const {
    const int n = g.grid.quotient(p), rest = p - n * g.grid.value;
    const int row = g.grid_w.quotient(rest), column = rest - row * g.grid_w.value;
    const int i = row * g.step + g.offset_h, j = column * g.step + g.offset_w;
    return {x + int64_t(n) * g.image + offset_of(i, j), p < g.pixels ? i : outside, j};
  }
  PARE_DEVICE Tap of_element(int e) const {
    const int tap = g.channels.quotient(e), c = e - tap * g.channels.value;
    const int a = g.taps_w.quotient(tap), b = tap - a * g.taps_w.value;
    const int i = a * g.tap_step_h, j = b * g.tap_step_w;
    return {offset_of(i, j) + c, e < g.elements ? i : outside, j};
  }
  PARE_DEVICE Place place(int row, int group) const {
    if constexpr (across) {
      Tap at = of_element(row);
      at.offset += group * g.channels.value;
      return at;
    } else {
      Pixel at = of_pixel(row);
      at.p = fixed(at.p + group * g.channels.value);
      return at;
    }
  }
  PARE_DEVICE auto at(int k) const {
    if constexpr (across)
      return of_pixel(k);
    else
      return of_element(k);
  }
  PARE_DEVICE Vector<T, width> fetch(const Pixel& pixel, const Tap& tap) const {
    if (unsigned(pixel.i + tap.i) >= unsigned(g.h) || unsigned(pixel.j + tap.j) >= unsigned(g.w))
      return {};
    return load<width>(pixel.p + tap.offset);
  }
  PARE_DEVICE Vector<T, width> fetch(const Tap& tap, const Pixel& pixel) const {
    return fetch(pixel, tap);
  }
};

}  // namespace pare::cuda
