#include "core/cpu/conv.h"

#include <algorithm>
#include <cstring>

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"
#include "core/thread_pool.h"

namespace pare::cpu {
namespace {

// A padded image of one group of channels, and where the rows of a window start in it.
struct Window {
  int64_t height = 0, width = 0, channels = 0;  // of the padded image
  int64_t run = 0;                              // contiguous elements of a window row
  int segments = 0;
  ptrdiff_t* offsets = nullptr;

  // With dilation 1 a kernel row is one run of kw * channels; otherwise one run per tap.
  Window(Scratch& scratch, int64_t h, int64_t w, int64_t c, int64_t kh, int64_t kw, int64_t dh,
         int64_t dw)
      : height(h), width(w), channels(c) {
    const bool joined = dw == 1;
    run = joined ? kw * c : c;
    offsets = scratch.take<ptrdiff_t>(size_t(joined ? kh : kh * kw));
    for (int64_t i = 0; i < kh; ++i)
      for (int64_t j = 0; j < (joined ? 1 : kw); ++j)
        offsets[segments++] = (i * dh * w + j * dw) * c;
  }
};

// Copies channels [c0, c0 + image.channels) of an h x w nhwc image to rows pad + i * step.
template <class T>
void place_image(const T* x, int64_t h, int64_t w, int64_t c_total, int64_t c0, const Window& image,
                 int64_t pad_h, int64_t pad_w, int64_t step_h, int64_t step_w, T* padded) {
  const int64_t c = image.channels;
  std::memset(padded, 0, size_t(image.height * image.width * c) * sizeof(T));
  for (int64_t i = 0; i < h; ++i) {
    const int64_t row = pad_h + i * step_h;
    if (row < 0 || row >= image.height) continue;
    const T* in = x + i * w * c_total + c0;
    T* out = padded + row * image.width * c;
    const bool whole = step_w == 1 && c == c_total && pad_w >= 0 && pad_w + w <= image.width;
    if (whole) {
      std::memcpy(out + pad_w * c, in, size_t(w * c) * sizeof(T));
      continue;
    }
    for (int64_t j = 0; j < w; ++j) {
      const int64_t column = pad_w + j * step_w;
      if (column < 0 || column >= image.width) continue;
      std::memcpy(out + column * c, in + j * c_total, size_t(c) * sizeof(T));
    }
  }
}

// Panels of B with depth (kh, kw, in) and columns out, from any weight order via `at(o, i, kh,
// kw)`.
template <class T, class At>
void pack_weights(int64_t out, int64_t in, int64_t kh, int64_t kw, int64_t width, At at,
                  T* panels) {
  const int64_t depth = kh * kw * in, count = (out + width - 1) / width;
  parallel_for(count, [&](int64_t p) {
    T* panel = panels + p * depth * width;
    const int64_t columns = std::min(width, out - p * width);
    for (int64_t y = 0; y < kh; ++y)
      for (int64_t x = 0; x < kw; ++x)
        for (int64_t i = 0; i < in; ++i, panel += width) {
          for (int64_t j = 0; j < columns; ++j) panel[j] = at(p * width + j, i, y, x);
          for (int64_t j = columns; j < width; ++j) panel[j] = T(0);
        }
  });
}

// One image against packed weights: output pixel (i, j) reads the window at (i * sh, j * sw).
template <class T>
void convolve_image(const MatrixKernels<T>& kernels, const Window& window, const T* padded,
                    const T* panels, int64_t out, int64_t oh, int64_t ow, int64_t sh, int64_t sw,
                    TileArgs<T> t, const T* bias, T* y, ptrdiff_t pixel_stride) {
  const int64_t step = kernels.tile_rows, width = kernels.panel_width, pixels = oh * ow;
  t.segments = window.segments;
  t.offsets = window.offsets;
  t.run = window.run;
  t.c_stride = pixel_stride;
  const T* rows[16];
  t.a_rows = rows;
  for (int64_t j = 0; j < out; j += width) {
    t.b = panels + j * window.run * window.segments;
    t.columns = int(std::min(width, out - j));
    t.bias = bias ? bias + j : nullptr;
    int64_t row = 0, column = 0;
    for (int64_t p = 0; p < pixels; p += step) {
      const int n = int(std::min(step, pixels - p));
      for (int r = 0; r < n; ++r) {
        rows[r] = padded + (row * sh * window.width + column * sw) * window.channels;
        if (++column == ow) {
          column = 0;
          ++row;
        }
      }
      t.c = y + p * pixel_stride + j;
      kernels.tile(n, t);
    }
  }
}

}  // namespace

template <class T>
void conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, bool relu, T* y) {
  const MatrixKernels<T>& kernels = matrix_kernels<T>();
  const int64_t in = s.c / s.groups, out = s.o / s.groups, width = kernels.panel_width;
  Scratch scratch;
  const Window window(scratch, s.h + 2 * s.pad_h, s.w + 2 * s.pad_w, in, s.kh, s.kw, s.dilation_h,
                      s.dilation_w);
  const int64_t depth = in * s.kh * s.kw, group_panels = (out + width - 1) / width * width * depth;
  T* panels = scratch.take<T>(size_t(group_panels * s.groups));
  for (int64_t g = 0; g < s.groups; ++g)
    pack_weights<T>(
        out, in, s.kh, s.kw, width,
        [&](int64_t o, int64_t i, int64_t a, int64_t b) {
          return w[(((g * out + o) * in + i) * s.kh + a) * s.kw + b];
        },
        panels + g * group_panels);
  parallel_for(s.n, [&](int64_t n) {
    Scratch own;
    T* padded = own.take<T>(size_t(window.height * window.width * in));
    for (int64_t g = 0; g < s.groups; ++g) {
      place_image(x + n * s.h * s.w * s.c, s.h, s.w, s.c, g * in, window, s.pad_h, s.pad_w,
                  int64_t(1), int64_t(1), padded);
      TileArgs<T> t;
      t.relu = relu;
      convolve_image(kernels, window, padded, panels + g * group_panels, out, s.oh, s.ow,
                     s.stride_h, s.stride_w, t, bias ? bias + g * out : nullptr,
                     y + n * s.oh * s.ow * s.o + g * out, s.o);
    }
  });
}

// dx is the convolution of dy, spread out by the stride, with the filters turned by 180 degrees and
// their channel axes exchanged.
template <class T>
void backward_data_gather(const ConvShape& s, const T* dy, const T* w, T* dx, bool accumulate) {
  const MatrixKernels<T>& kernels = matrix_kernels<T>();
  const int64_t in = s.c / s.groups, out = s.o / s.groups, width = kernels.panel_width;
  const int64_t reach_h = s.dilation_h * (s.kh - 1), reach_w = s.dilation_w * (s.kw - 1);
  Scratch scratch;
  const Window window(scratch, s.h + reach_h, s.w + reach_w, out, s.kh, s.kw, s.dilation_h,
                      s.dilation_w);
  const int64_t depth = out * s.kh * s.kw, group_panels = (in + width - 1) / width * width * depth;
  T* panels = scratch.take<T>(size_t(group_panels * s.groups));
  for (int64_t g = 0; g < s.groups; ++g)
    pack_weights<T>(
        in, out, s.kh, s.kw, width,
        [&](int64_t i, int64_t o, int64_t a, int64_t b) {
          return w[(((g * out + o) * in + i) * s.kh + (s.kh - 1 - a)) * s.kw + (s.kw - 1 - b)];
        },
        panels + g * group_panels);
  parallel_for(s.n, [&](int64_t n) {
    Scratch own;
    T* padded = own.take<T>(size_t(window.height * window.width * out));
    for (int64_t g = 0; g < s.groups; ++g) {
      place_image(dy + n * s.oh * s.ow * s.o, s.oh, s.ow, s.o, g * out, window, reach_h - s.pad_h,
                  reach_w - s.pad_w, s.stride_h, s.stride_w, padded);
      TileArgs<T> t;
      t.load_c = accumulate;
      convolve_image(kernels, window, padded, panels + g * group_panels, in, s.h, s.w, int64_t(1),
                     int64_t(1), t, static_cast<const T*>(nullptr),
                     dx + n * s.h * s.w * s.c + g * in, s.c);
    }
  });
}

// dx by pixels of dy: each times all filters gives the gradient of its whole window, added into a
// padded image. No work is spent on borders and strides, where the convolution above multiplies
// zeros.
template <class T>
void backward_data_scatter(const ConvShape& s, const T* dy, const T* w, T* dx, bool accumulate) {
  const MatrixKernels<T>& kernels = matrix_kernels<T>();
  const int64_t in = s.c / s.groups, out = s.o / s.groups, width = kernels.panel_width;
  Scratch scratch;
  const Window window(scratch, s.h + 2 * s.pad_h, s.w + 2 * s.pad_w, in, s.kh, s.kw, s.dilation_h,
                      s.dilation_w);
  const int64_t columns = s.kh * s.kw * in, panels_count = (columns + width - 1) / width;
  const int64_t padded_columns = panels_count * width, step = kernels.tile_rows;
  const int64_t image_size = window.height * window.width * in, pixels = s.oh * s.ow;
  T* panels = scratch.take<T>(size_t(padded_columns * out * s.groups));
  parallel_for(panels_count * s.groups, [&](int64_t p) {
    const int64_t g = p / panels_count, first = p % panels_count * width;
    T* panel = panels + p * width * out;
    for (int64_t j = 0; j < width; ++j) {
      const int64_t column = first + j, tap = column / in, i = column % in;
      for (int64_t o = 0; o < out; ++o)
        panel[o * width + j] =
            column < columns ? w[((g * out + o) * in + i) * s.kh * s.kw + tap] : T(0);
    }
  });
  parallel_for(s.n, [&](int64_t n) {
    Scratch own;
    T* image = own.take<T>(size_t(image_size + step * padded_columns));
    T* strip = image + image_size;
    for (int64_t g = 0; g < s.groups; ++g) {
      std::memset(image, 0, size_t(image_size) * sizeof(T));
      const T* rows[16];
      TileArgs<T> t;
      t.a_rows = rows;
      t.run = out;
      t.c_stride = padded_columns;
      for (int64_t first = 0; first < pixels; first += step) {
        const int64_t count = std::min(step, pixels - first);
        for (int64_t r = 0; r < count; ++r) rows[r] = dy + (n * pixels + first + r) * s.o + g * out;
        for (int64_t p = 0; p < panels_count; ++p) {
          t.b = panels + (g * panels_count + p) * width * out;
          t.c = strip + p * width;
          t.columns = int(std::min(width, columns - p * width));
          kernels.tile(int(count), t);
        }
        for (int64_t r = 0; r < count; ++r) {
          const int64_t pixel = first + r;
          T* corner =
              image + (pixel / s.ow * s.stride_h * window.width + pixel % s.ow * s.stride_w) * in;
          const T* from = strip + r * padded_columns;
          for (int segment = 0; segment < window.segments; ++segment, from += window.run) {
            T* to = corner + window.offsets[segment];
            loops<T>().add(to, from, to, window.run);
          }
        }
      }
      for (int64_t i = 0; i < s.h; ++i) {
        const T* from = image + ((i + s.pad_h) * window.width + s.pad_w) * in;
        T* to = dx + (n * s.h + i) * s.w * s.c + g * in;
        if (s.groups == 1 && !accumulate) {
          std::memcpy(to, from, size_t(s.w * in) * sizeof(T));
          continue;
        }
        for (int64_t j = 0; j < s.w; ++j)
          for (int64_t c = 0; c < in; ++c)
            to[j * s.c + c] = accumulate ? to[j * s.c + c] + from[j * in + c] : from[j * in + c];
      }
    }
  });
}

// Takes whichever of the two forms multiplies less, padding of the panels included.
template <class T>
void conv_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx, bool accumulate) {
  const int64_t in = s.c / s.groups, taps = s.kh * s.kw, width = matrix_kernels<T>().panel_width;
  const auto rounded = [&](int64_t columns) { return (columns + width - 1) / width * width; };
  const int64_t gather = s.h * s.w * taps * rounded(in), scatter = s.oh * s.ow * rounded(taps * in);
  if (5 * scatter < 4 * gather)
    backward_data_scatter(s, dy, w, dx, accumulate);
  else
    backward_data_gather(s, dy, w, dx, accumulate);
}

// dw[(kh, kw, c)][o] = sum over images and pixels of x(window element) * dy(o): the transposed
// tile, whose rows are adjacent window elements and whose depth runs along the pixels of each
// output row.
template <class T>
void conv_backward_weight(const ConvShape& s, const T* x, const T* dy, T* dw, bool accumulate) {
  const MatrixKernels<T>& kernels = matrix_kernels<T>();
  const int64_t in = s.c / s.groups, out = s.o / s.groups, width = kernels.panel_width;
  const int64_t step = kernels.tile_rows;
  Scratch scratch;
  const Window window(scratch, s.h + 2 * s.pad_h, s.w + 2 * s.pad_w, in, s.kh, s.kw, s.dilation_h,
                      s.dilation_w);
  const int64_t depth = in * s.kh * s.kw, columns_padded = (out + width - 1) / width * width;
  const int64_t part_size = depth * columns_padded, pixels = s.oh * s.ow;
  const int64_t parts = std::min<int64_t>(s.n, 8);
  ptrdiff_t* row_offsets = scratch.take<ptrdiff_t>(size_t(s.oh));
  for (int64_t i = 0; i < s.oh; ++i) row_offsets[i] = i * s.stride_h * window.width * in;
  for (int64_t g = 0; g < s.groups; ++g) {
    Scratch of_group;
    T* sums = of_group.take<T>(size_t(part_size * parts));
    parallel_for(parts, [&](int64_t part) {
      Scratch own;
      T* padded = own.take<T>(size_t(window.height * window.width * in));
      T* panels = own.take<T>(size_t(pixels * columns_padded));
      T* sum = sums + part * part_size;
      const int64_t first = part * s.n / parts, last = (part + 1) * s.n / parts;
      for (int64_t n = first; n < last; ++n) {
        place_image(x + n * s.h * s.w * s.c, s.h, s.w, s.c, g * in, window, s.pad_h, s.pad_w,
                    int64_t(1), int64_t(1), padded);
        const T* image_dy = dy + n * pixels * s.o + g * out;
        for (int64_t j = 0; j < out; j += width) {
          const int columns = int(std::min(width, out - j));
          T* panel = panels + j * pixels;
          kernels.pack(image_dy + j, s.o, pixels, columns, panel);
          TileArgs<T> t;
          t.segments = int(s.oh);
          t.offsets = row_offsets;
          t.run = s.ow;
          t.a_step = s.stride_w * in;
          t.b = panel;
          t.c_stride = columns_padded;
          t.columns = columns;
          t.load_c = n > first;
          for (int seg = 0; seg < window.segments; ++seg)
            for (int64_t k = 0; k < window.run; k += step) {
              t.a = padded + window.offsets[seg] + k;
              t.c = sum + (seg * window.run + k) * columns_padded + j;
              kernels.tile_transposed(int(std::min(step, window.run - k)), t);
            }
        }
      }
    });
    parallel_for(out, [&](int64_t o) {
      T* to = dw + (g * out + o) * depth;
      for (int64_t i = 0; i < in; ++i)
        for (int64_t tap = 0; tap < s.kh * s.kw; ++tap) {
          const T* from = sums + (tap * in + i) * columns_padded + o;
          T total = from[0];
          for (int64_t part = 1; part < parts; ++part) total += from[part * part_size];
          T& destination = to[i * s.kh * s.kw + tap];
          destination = accumulate ? destination + total : total;
        }
    });
  }
}

#define PARE_INSTANTIATE(T)                                                                \
  template void conv_forward<T>(const ConvShape&, const T*, const T*, const T*, bool, T*); \
  template void conv_backward_data<T>(const ConvShape&, const T*, const T*, T*, bool);     \
  template void conv_backward_weight<T>(const ConvShape&, const T*, const T*, T*, bool);
PARE_INSTANTIATE(float)
PARE_INSTANTIATE(double)
#undef PARE_INSTANTIATE

}  // namespace pare::cpu
