// Operands of a matrix product, fetched by rows and depth from where they lie: C[i][j] = sum over k
// of A[i][k] B[j][k]. A matrix, the windows of images, and filters are such operands, which makes
// a convolution a product without a copy of its windows (implicit GEMM; Chetlur et al. 2014,
// "cuDNN: Efficient Primitives for Deep Learning").
//
// place(row, group) works out once what belongs to a row; fetch(place, k) gives `width` elements:
// of rows on where `across`, else of depth k and on; zeros outside of the operand. Rows, depth and
// addresses of operands with a width above 1 are multiples of it.
#pragma once

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
  struct Place {
    int i, j;
    bool inside;
    int64_t offset;
  };
  const T* x;
  WindowGeometry g;

  PARE_DEVICE Place of_pixel(int p) const {
    const int n = g.grid.quotient(p), rest = p - n * g.grid.value;
    const int i = g.grid_w.quotient(rest), j = rest - i * g.grid_w.value;
    return {i * g.step + g.offset_h, j * g.step + g.offset_w, p < g.pixels,
            int64_t(n) * g.h * g.w * g.pixel_stride};
  }
  PARE_DEVICE Place of_element(int e) const {
    const int tap = g.channels.quotient(e), c = e - tap * g.channels.value;
    const int a = g.taps_w.quotient(tap), b = tap - a * g.taps_w.value;
    return {a * g.tap_step_h, b * g.tap_step_w, e < g.elements, c};
  }
  PARE_DEVICE Place place(int row, int group) const {
    Place at = across ? of_element(row) : of_pixel(row);
    at.offset += int64_t(group) * g.channels.value;
    return at;
  }
  PARE_DEVICE Vector<T, width> fetch(const Place& at, int k) const {
    const Place other = across ? of_pixel(k) : of_element(k);
    const int i = at.i + other.i, j = at.j + other.j;
    if (!at.inside || !other.inside || i < 0 || i >= g.h || j < 0 || j >= g.w) return {};
    return load<width>(x + at.offset + other.offset + (int64_t(i) * g.w + j) * g.pixel_stride);
  }
};

// Filters (oihw): depth (a, b, c) of taps first + a tap_step_h + b tap_step_w and channels c.
template <class T, bool across_>
struct Filters {
  using Element = T;
  static constexpr bool across = across_;
  static constexpr int width = 1;
  struct Place {
    const T* p;
    bool inside;
  };
  const T* w;
  int64_t group_step, row_step, channel_step;
  int rows, depth, first, tap_step_h, tap_step_w;
  Divisor channels, taps_w;

  PARE_DEVICE Place place(int row, int group) const {
    return {w + group * group_step + row * row_step + first, row < rows};
  }
  PARE_DEVICE Vector<T, 1> fetch(const Place& at, int k) const {
    if (!at.inside || k >= depth) return {};
    const int tap = channels.quotient(k), c = k - tap * channels.value;
    const int a = taps_w.quotient(tap), b = tap - a * taps_w.value;
    return load<1>(at.p + c * channel_step + a * tap_step_h + b * tap_step_w);
  }
};

}  // namespace pare::cuda
