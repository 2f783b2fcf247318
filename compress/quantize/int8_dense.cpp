#include "compress/quantize/int8_dense.h"

#include <algorithm>

#include "compress/quantize/integers.h"
#include "core/cpu/kernels/kernels.h"
#include "core/thread_pool.h"

namespace pare {
namespace {

// Modulo 2^32, as vectors add: a bias of a hostile file may overflow, those of integer_layer do
// not.
int32_t sum(int32_t a, int32_t b) { return int32_t(uint32_t(a) + uint32_t(b)); }

}  // namespace

void int8_dense_kernel(const Int8DenseArgs& a) {
  constexpr int64_t rows_per_tile = 16, columns_per_tile = 64;
  const cpu::Int8Dot4 dot = cpu::kernels().int8_dot4;
  const int64_t row_tiles = (a.n + rows_per_tile - 1) / rows_per_tile;
  const int64_t column_tiles = (a.out + columns_per_tile - 1) / columns_per_tile;
  parallel_for(row_tiles * column_tiles, [&](int64_t tile) {
    const int64_t row = tile / column_tiles * rows_per_tile;
    const int64_t column = tile % column_tiles * columns_per_tile;
    const int64_t last_row = std::min(row + rows_per_tile, a.n);
    const int64_t last_column = std::min(column + columns_per_tile, a.out);
    for (int64_t o = column; o < last_column; o += 4) {
      const int8_t* w[4];
      for (int64_t j = 0; j < 4; ++j) w[j] = a.w + std::min(o + j, a.out - 1) * a.in;
      const int64_t used = std::min<int64_t>(4, last_column - o);
      for (int64_t r = row; r < last_row; ++r) {
        int32_t acc[4];
        dot(a.x + r * a.in, w, a.in, acc);
        for (int64_t j = 0; j < used; ++j)
          a.y[r * a.out + o + j] =
              requantize(sum(acc[j], a.bias[o + j]), a.multiplier[o + j], a.y_zero, a.relu);
      }
    }
  });
}

}  // namespace pare
