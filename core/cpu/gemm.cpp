#include "core/cpu/gemm.h"

#include <algorithm>

#include "core/cpu/blas.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"
#include "core/thread_pool.h"

namespace pare::cpu {

namespace {

// Blocks of rows by BLAS; their number depends on the shape alone, so that the bits do not depend
// on the threads. Bias and ReLU follow block by block, while it is in the cache.
template <class T>
bool gemm_by_blas(const GemmArgs<T>& g) {
  constexpr int64_t worthwhile = 64 * 64 * 64;
  if (g.m * g.n * g.k < worthwhile || !blas_in_use()) return false;
  const int64_t blocks = std::clamp<int64_t>(g.m / 32, 1, 8), rows = (g.m + blocks - 1) / blocks;
  parallel_for(blocks, [&](int64_t i) {
    GemmArgs<T> part = g;
    part.m = std::min(rows, g.m - i * rows);
    if (part.m <= 0) return;
    part.a = g.a + i * rows * (g.a_transposed ? 1 : g.lda);
    part.c = g.c + i * rows * g.ldc;
    blas_gemm(part);
    for (int64_t r = 0; (g.bias || g.relu) && r < part.m; ++r)
      for (int64_t j = 0; j < g.n; ++j) {
        T& c = part.c[r * g.ldc + j];
        if (g.bias) c += g.bias[j];
        if (g.relu) c = c < T(0) ? T(0) : c;
      }
  });
  return true;
}

}  // namespace

// A tile of work is one panel of B's columns by a block of rows: it packs its panel into the
// thread's scratch (cheap: each packed element serves every row) and runs the register tile down
// the rows.
template <class T>
void gemm(const GemmArgs<T>& g) {
  if (g.m <= 0 || g.n <= 0) return;
  if (gemm_by_blas(g)) return;
  const MatrixKernels<T>& kernels = matrix_kernels<T>();
  const int64_t width = kernels.panel_width, step = kernels.tile_rows;
  const int64_t panels = (g.n + width - 1) / width;
  // Few panels: cut the rows too, so that several threads find work; at least 8 row tiles each.
  const int64_t row_tiles = (g.m + step - 1) / step;
  const int64_t row_blocks = panels >= 8 ? 1 : std::clamp<int64_t>(row_tiles / 8, 1, 8);
  const int64_t block = (row_tiles + row_blocks - 1) / row_blocks * step;
  parallel_for(panels * row_blocks, [&](int64_t tile) {
    const int64_t column = tile / row_blocks * width, row0 = tile % row_blocks * block;
    const int64_t row1 = std::min(g.m, row0 + block);
    const int columns = int(std::min(width, g.n - column));
    Scratch scratch;
    T* panel = scratch.take<T>(size_t(g.k * width));
    if (g.b_transposed)
      kernels.pack_transposed(g.b + column * g.ldb, g.ldb, g.k, columns, panel);
    else
      kernels.pack(g.b + column, g.ldb, g.k, columns, panel);
    TileArgs<T> t;
    t.run = g.k;
    t.b = panel;
    t.c_stride = g.ldc;
    t.columns = columns;
    t.load_c = g.accumulate;
    t.bias = g.bias ? g.bias + column : nullptr;
    t.relu = g.relu;
    t.a_step = g.lda;
    const T* rows[16];
    for (int64_t r = row0; r < row1; r += step) {
      const int n = int(std::min(step, row1 - r));
      t.c = g.c + r * g.ldc + column;
      if (g.a_transposed) {
        t.a = g.a + r;
        kernels.tile_transposed(n, t);
      } else {
        for (int i = 0; i < n; ++i) rows[i] = g.a + (r + i) * g.lda;
        t.a_rows = rows;
        kernels.tile(n, t);
      }
    }
  });
}
template void gemm<float>(const GemmArgs<float>&);
template void gemm<double>(const GemmArgs<double>&);

}  // namespace pare::cpu
