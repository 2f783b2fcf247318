// The register tile, compiled once per instruction set (see matrix_tile.h). tile_rows x 2 vectors
// of accumulators: per k two loads of B and one broadcast a row feed 2 * tile_rows multiply-adds.
#include "core/cpu/kernels/matrix_tile.h"
#include "core/cpu/kernels/simd.h"

namespace pare::cpu {
namespace {

template <class T, class V, int rows, int vectors, bool transposed>
void tile_fixed(const TileArgs<T>& t) {
  constexpr int panel_width = 2 * Vec<T>::width;
  V acc[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < vectors; ++j) acc[r][j] = V::zero();
  const T* b = t.b;
  for (int s = 0; s < t.segments; ++s) {
    const ptrdiff_t offset = t.offsets ? t.offsets[s] : 0;
    if constexpr (transposed) {
      const T* a = t.a + offset;
      for (int64_t k = 0; k < t.run; ++k, a += t.a_step, b += panel_width) {
        V column[vectors];
        for (int j = 0; j < vectors; ++j) column[j] = V::load(b + j * V::width);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
          const V x = V::set(a[r]);
#pragma GCC unroll 3
          for (int j = 0; j < vectors; ++j) acc[r][j] = fma(x, column[j], acc[r][j]);
        }
      }
    } else {
      const T* a[rows];
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) a[r] = t.a_rows[r] + offset;
      for (int64_t k = 0; k < t.run; ++k, b += panel_width) {
        V column[vectors];
        for (int j = 0; j < vectors; ++j) column[j] = V::load(b + j * V::width);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
          const V x = V::set(a[r][k]);
#pragma GCC unroll 3
          for (int j = 0; j < vectors; ++j) acc[r][j] = fma(x, column[j], acc[r][j]);
        }
      }
    }
  }
#pragma GCC unroll 3
  for (int j = 0; j < vectors; ++j) {
    const int left = t.columns - j * V::width;
    if (left <= 0) break;
    const bool whole = left >= V::width;
    const V bias = !t.bias ? V::zero()
                   : whole ? V::load(t.bias + j * V::width)
                           : V::load(t.bias + j * V::width, left);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      T* c = t.c + r * t.c_stride + j * V::width;
      V y = acc[r][j];
      if (t.load_c) y = y + (whole ? V::load(c) : V::load(c, left));
      if (t.bias) y = y + bias;
      if (t.residual) {
        const T* in = t.residual + r * t.c_stride + j * V::width;
        y = y + (whole ? V::load(in) : V::load(in, left));
      }
      if (t.relu) y = max0(y);
      if (whole)
        y.store(c);
      else
        y.store(c, left);
    }
  }
}

template <class T, bool transposed, int rows>
void tile_rows_of(int wanted, const TileArgs<T>& t) {
  if constexpr (rows > 0) {
    if (wanted != rows) return tile_rows_of<T, transposed, rows - 1>(wanted, t);
    using V = Vec<T>;
#if PARE_HALF_VECTORS
    using H = HalfVec<T>;
    if (t.columns <= H::width) return tile_fixed<T, H, rows, 1, transposed>(t);
    if constexpr (rows <= tile_rows)
      if (t.columns > V::width && t.columns <= 3 * H::width)
        return tile_fixed<T, H, rows, 3, transposed>(t);
#endif
    if constexpr (rows <= tile_rows)
      if (t.columns > V::width) return tile_fixed<T, V, rows, 2, transposed>(t);
    tile_fixed<T, V, rows, 1, transposed>(t);
  }
}

template <class T>
void tile_by_rows(int rows, const TileArgs<T>& t) {
  tile_rows_of<T, false, tile_rows>(rows, t);
}
template <class T>
void tile_by_columns(int rows, const TileArgs<T>& t) {
  tile_rows_of<T, true, 2 * tile_rows>(rows, t);
}

template <class T>
void pack_panel(const T* b, ptrdiff_t ld, int64_t depth, int columns, T* panel) {
  using V = Vec<T>;
  constexpr int width = 2 * V::width;
  for (int64_t k = 0; k < depth; ++k, b += ld, panel += width)
    for (int j = 0; j < 2; ++j) {
      const int left = columns - j * V::width;
      const V v = left >= V::width ? V::load(b + j * V::width)
                  : left > 0       ? V::load(b + j * V::width, left)
                                   : V::zero();
      v.store(panel + j * V::width);
    }
}

// Blocks of 16 depths, so that each source line is read once while its columns scatter in cache.
template <class T>
void pack_panel_transposed(const T* b, ptrdiff_t ld, int64_t depth, int columns, T* panel) {
  constexpr int width = 2 * Vec<T>::width;
  constexpr int64_t block = 16;
  for (int64_t k0 = 0; k0 < depth; k0 += block) {
    const int64_t n = depth - k0 < block ? depth - k0 : block;
    T* out = panel + k0 * width;
    for (int j = 0; j < columns; ++j) {
      const T* in = b + j * ld + k0;
      for (int64_t k = 0; k < n; ++k) out[k * width + j] = in[k];
    }
    for (int j = columns; j < width; ++j)
      for (int64_t k = 0; k < n; ++k) out[k * width + j] = T(0);
  }
}

template <class T>
constexpr MatrixKernels<T> matrix_table{
    tile_rows,          2 * tile_rows, 2 * Vec<T>::width,       tile_by_rows<T>,
    tile_by_columns<T>, pack_panel<T>, pack_panel_transposed<T>};

}  // namespace
}  // namespace pare::cpu
