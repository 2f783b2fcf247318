// A block of tiles goes through three stages that hand their values on in scratch: the windows are
// transformed, [36][channel vector][tile][lane]; for each of the 36 places one small matrix product
// takes channels to outputs, [36][output vector][tile][lane]; the products are transformed back,
// with bias, residual and ReLU. Channels lie in the lanes throughout.
#include "core/cpu/kernels/simd.h"
#include "core/cpu/kernels/winograd.h"

namespace pare::cpu {
namespace {
namespace winograd {

using V = Vec<float>;
constexpr int64_t lanes = V::width;
constexpr float a = 0.70710678118654752f, b = 1.41421356237309505f;  // the points, squares 1/2, 2

int64_t vectors_of(int64_t channels) { return (channels + lanes - 1) / lanes; }

// Tiles of a block: as many as keep both hand-overs in the second-level cache.
int64_t block_tiles(const Winograd& s) {
  constexpr int64_t bytes = 192 << 10;
  const int64_t tile = 36 * 4 * lanes * (vectors_of(s.channels) + vectors_of(s.out_channels));
  const int64_t fitting = bytes / tile / tile_rows * tile_rows;
  return fitting < tile_rows ? tile_rows : fitting > 48 ? 48 : fitting;
}
int64_t scratch_floats(const Winograd& s) {
  const int64_t vectors = vectors_of(s.channels) + vectors_of(s.out_channels);
  return 36 * (block_tiles(s) + 1) * vectors * lanes;
}

// B' along one axis: t[0..5] to six outputs, each `step` apart.
inline void transform_row(const V* t, float* to, int64_t step) {
  const V even_a = fma(V::set(-2), t[2], t[4]), odd_a = fma(V::set(-2), t[1], t[3]);
  const V even_b = fma(V::set(-.5f), t[2], t[4]), odd_b = fma(V::set(-.5f), t[1], t[3]);
  fma(V::set(-2.5f), t[2], t[0] + t[4]).store(to);
  fma(V::set(a), odd_a, even_a).store(to + step);
  fma(V::set(-a), odd_a, even_a).store(to + 2 * step);
  fma(V::set(b), odd_b, even_b).store(to + 3 * step);
  fma(V::set(-b), odd_b, even_b).store(to + 4 * step);
  fma(V::set(-2.5f), t[3], t[1] + t[5]).store(to + 5 * step);
}

// B' d B of one window and one vector of channels, d(i, j) its elements. Rows are made two at a
// time, for 36 values would not fit the registers.
template <class Window>
inline void transform_window(Window d, float* to, int64_t step) {
  V t[6], u[6];
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) t[j] = fma(V::set(-2.5f), d(2, j), d(0, j) + d(4, j));
  transform_row(t, to, step);
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    const V even = fma(V::set(-2), d(2, j), d(4, j)), odd = fma(V::set(-2), d(1, j), d(3, j));
    t[j] = fma(V::set(a), odd, even);
    u[j] = fma(V::set(-a), odd, even);
  }
  transform_row(t, to + 6 * step, step);
  transform_row(u, to + 12 * step, step);
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    const V even = fma(V::set(-.5f), d(2, j), d(4, j)), odd = fma(V::set(-.5f), d(1, j), d(3, j));
    t[j] = fma(V::set(b), odd, even);
    u[j] = fma(V::set(-b), odd, even);
  }
  transform_row(t, to + 18 * step, step);
  transform_row(u, to + 24 * step, step);
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) t[j] = fma(V::set(-2.5f), d(3, j), d(1, j) + d(5, j));
  transform_row(t, to + 30 * step, step);
}

struct Block {
  int64_t tiles, channel_vectors, out_vectors;
  float *windows, *products;
};

// The window of tile (row, column) of one image, all its channels, to place `tile` of the block.
void window_to_block(const Winograd& s, const float* image, int64_t row, int64_t column,
                     const Block& block, int64_t tile) {
  const int64_t top = 4 * row - s.padding, left = 4 * column - s.padding;
  const bool inside = top >= 0 && left >= 0 && top + 6 <= s.height && left + 6 <= s.width;
  const int64_t step = block.channel_vectors * block.tiles * lanes;
  for (int64_t c = 0; c < s.channels; c += lanes) {
    float* to = block.windows + (c * block.tiles + tile * lanes);
    const bool whole = c + lanes <= s.channels;
    const int n = int(whole ? lanes : s.channels - c);
    const float* from = image + (top * s.width + left) * s.channels + c;
    const auto element = [&](int i, int j) { return from + (i * s.width + j) * s.channels; };
    if (inside && whole) {
      transform_window([&](int i, int j) { return V::load(element(i, j)); }, to, step);
      continue;
    }
    V edge[6][6];
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 6; ++j) {
        const bool in = top + i >= 0 && top + i < s.height && left + j >= 0 && left + j < s.width;
        edge[i][j] = !in ? V::zero() : whole ? V::load(element(i, j)) : V::load(element(i, j), n);
      }
    transform_window([&](int i, int j) { return edge[i][j]; }, to, step);
  }
}

// One tile of the matrix product at one of the 36 places, as core/cpu/kernels/matrix_tile.inl.
template <int rows, int vectors>
void product(const float* x, int64_t x_step, int64_t channels, const float* w, float* y,
             int64_t y_step) {
  V acc[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < vectors; ++j) acc[r][j] = V::zero();
  const int64_t w_step = channels * lanes;
  for (int64_t c = 0; c < channels; c += lanes, x += x_step) {
    const int64_t n = channels - c < lanes ? channels - c : lanes;
    for (int64_t k = 0; k < n; ++k, w += lanes) {
      V column[vectors];
      for (int j = 0; j < vectors; ++j) column[j] = V::load(w + j * w_step);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) {
        const V value = V::set(x[r * lanes + k]);
#pragma GCC unroll 2
        for (int j = 0; j < vectors; ++j) acc[r][j] = fma(value, column[j], acc[r][j]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) acc[r][j].store(y + r * lanes + j * y_step);
}

template <int vectors, int rows>
void product_of(int64_t wanted, const float* x, int64_t x_step, int64_t channels, const float* w,
                float* y, int64_t y_step) {
  if constexpr (rows > 0) {
    if (wanted == rows)
      product<rows, vectors>(x, x_step, channels, w, y, y_step);
    else
      product_of<vectors, rows - 1>(wanted, x, x_step, channels, w, y, y_step);
  }
}

void multiply(const Winograd& s, const Block& block, int64_t count) {
  const int64_t step = block.tiles * lanes, groups = (count + tile_rows - 1) / tile_rows;
  const float *x = block.windows, *w = s.filters;
  float* y = block.products;
  for (int place = 0; place < 36; ++place, x += block.channel_vectors * step)
    for (int64_t j = 0; j < block.out_vectors;) {
      const int64_t vectors = block.out_vectors - j > 1 ? 2 : 1;
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t first = count * g / groups, rows = count * (g + 1) / groups - first;
        const auto run = vectors == 2 ? product_of<2, tile_rows> : product_of<1, tile_rows>;
        run(rows, x + first * lanes, step, s.channels, w, y + first * lanes, step);
      }
      j += vectors;
      w += vectors * s.channels * lanes;
      y += vectors * step;
    }
}

// A' along one axis: the even outputs need the sums of a point and its opposite, the odd ones the
// differences.
inline void outputs_even(const V* m, V& y0, V& y2) {
  const V sum_a = m[1] + m[2], sum_b = m[3] + m[4];
  y0 = m[0] + sum_a + sum_b;
  y2 = fma(V::set(2), sum_b, fma(V::set(.5f), sum_a, V::zero()));
}
inline void outputs_odd(const V* m, V& y1, V& y3) {
  const V difference_a = m[1] - m[2], difference_b = m[3] - m[4];
  y1 = fma(V::set(b), difference_b, fma(V::set(a), difference_a, V::zero()));
  y3 = fma(V::set(2 * b), difference_b, fma(V::set(.5f * a), difference_a, m[5]));
}

void outputs_of_block(const Winograd& s, const WinogradTiles& t, int64_t image, int64_t row,
                      int64_t column, const Block& block, int64_t tile) {
  const int64_t height = s.out_height - 4 * row, width = s.out_width - 4 * column;
  const int64_t at = ((image * s.out_height + 4 * row) * s.out_width + 4 * column) * s.out_channels;
  const int64_t step = block.out_vectors * block.tiles * lanes;
  for (int64_t o = 0; o < s.out_channels; o += lanes) {
    const float* m = block.products + (o * block.tiles + tile * lanes);
    const bool whole = o + lanes <= s.out_channels;
    const int n = int(whole ? lanes : s.out_channels - o);
    const V bias = whole ? V::load(s.bias + o) : V::load(s.bias + o, n);
    const auto finish = [&](int i, int j, V v) {
      if (i >= height || j >= width) return;
      const int64_t to = at + (i * s.out_width + j) * s.out_channels + o;
      v = v + bias;
      if (t.residual) v = v + (whole ? V::load(t.residual + to) : V::load(t.residual + to, n));
      if (s.relu) v = max0(v);
      if (whole)
        v.store(t.y + to);
      else
        v.store(t.y + to, n);
    };
    const auto finish_row = [&](int i, const V* r) {
      V y0, y1, y2, y3;
      outputs_even(r, y0, y2);
      outputs_odd(r, y1, y3);
      finish(i, 0, y0), finish(i, 1, y1), finish(i, 2, y2), finish(i, 3, y3);
    };
    V r[6], q[6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      V c[6];
      for (int i = 0; i < 5; ++i) c[i] = V::load(m + (i * 6 + j) * step);
      outputs_even(c, r[j], q[j]);
    }
    finish_row(0, r);
    finish_row(2, q);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      V c[6];
      for (int i = 1; i < 6; ++i) c[i] = V::load(m + (i * 6 + j) * step);
      outputs_odd(c, r[j], q[j]);
    }
    finish_row(1, r);
    finish_row(3, q);
  }
}

void run_tiles(const Winograd& s, const WinogradTiles& t) {
  Block block{block_tiles(s), vectors_of(s.channels), vectors_of(s.out_channels), t.scratch,
              nullptr};
  block.products = block.windows + 36 * block.channel_vectors * block.tiles * lanes;
  const int64_t columns = s.tile_columns(), tiles = s.tiles();
  const int64_t image_size = s.height * s.width * s.channels;
  const int64_t all = t.last - t.first, blocks = (all + block.tiles - 1) / block.tiles;
  for (int64_t k = 0; k < blocks; ++k) {
    const int64_t first = t.first + all * k / blocks;
    const int64_t count = t.first + all * (k + 1) / blocks - first;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t image = (first + i) / tiles, tile = (first + i) % tiles;
      window_to_block(s, t.x + image * image_size, tile / columns, tile % columns, block, i);
    }
    multiply(s, block, count);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t image = (first + i) / tiles, tile = (first + i) % tiles;
      outputs_of_block(s, t, image, tile / columns, tile % columns, block, i);
    }
  }
}

constexpr WinogradKernel table{int(lanes), scratch_floats, run_tiles};

}  // namespace winograd
}  // namespace
}  // namespace pare::cpu
