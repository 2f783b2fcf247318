// Matrix products by multiply-adds on registers, f32 and f64.
#pragma once

#include "cuda/product_tile.h"

namespace pare::cuda {

// Register tiles of per_m x per_n elements a thread, held as pieces of 16 bytes that lie far apart
// so that a warp's reads of shared memory meet no bank twice.
template <int rows_, int columns_, int depth_, int per_m_, int per_n_>
struct RegisterTile {
  static constexpr int rows = rows_, columns = columns_, depth = depth_;
  static constexpr int per_m = per_m_, per_n = per_n_;
  static constexpr int across = columns / per_n, threads = rows / per_m * across;
  // Of a thread, as compiled; instructions in `deepest_step` of depth.
  static constexpr int registers = per_m * per_n < 64 ? 128 : 168;
  static constexpr int instructions = 512 + per_m * per_n * 32;
};

template <class Tile, class A, class B, class T>
PARE_KERNEL void product_kernel(A a, B b, Result<T> result, Split<T> split) {
  constexpr int piece = 16 / int(sizeof(T));
  constexpr int pieces_m = Tile::per_m / piece, pieces_n = Tile::per_n / piece;
  constexpr int stride_a = Tile::rows + piece, stride_b = Tile::columns + piece;
  constexpr int size_a = Tile::depth * stride_a, size_b = Tile::depth * stride_b;
  PARE_SHARED(T, tiles_a, 2 * size_a);
  PARE_SHARED(T, tiles_b, 2 * size_b);
  const Block block = Block::of(Tile{}, result, split);
  Stage<A, Tile::rows, Tile::depth, Tile::threads, false> stage_a(a, block.row, block.group);
  Stage<B, Tile::columns, Tile::depth, Tile::threads, false> stage_b(b, block.column, block.group);
  const int x = thread_x() % Tile::across, y = thread_x() / Tile::across;
  T sum[Tile::per_m][Tile::per_n] = {};

  // Transposed: depth by depth, so that a thread reads pieces of rows.
  const auto place = [](Shared<T> tile, int stride, int row, int k, const auto& v, auto across) {
    constexpr int n = int(sizeof(v) / sizeof(T));
    if constexpr (across && n > 1)
      tile.template store<n>(k * stride + row, v);
    else
      PARE_UNROLL
    for (int i = 0; i < n; ++i) tile[(k + i) * stride + row] = v[i];
  };
  const auto store = [&](int buffer) {
    stage_a.store([&](int row, int k, const auto& v) {
      place(tiles_a + buffer * size_a, stride_a, row, k, v, std::bool_constant<A::across>{});
    });
    stage_b.store([&](int row, int k, const auto& v) {
      place(tiles_b + buffer * size_b, stride_b, row, k, v, std::bool_constant<B::across>{});
    });
  };
  const auto use = [&](int buffer) {
    const Shared<T> from_a = tiles_a + buffer * size_a, from_b = tiles_b + buffer * size_b;
    PARE_UNROLL
    for (int k = 0; k < Tile::depth; ++k) {
      Vector<T, piece> va[pieces_m], vb[pieces_n];
      PARE_UNROLL
      for (int i = 0; i < pieces_m; ++i)
        va[i] = from_a.template load<piece>(k * stride_a + i * (Tile::rows / pieces_m) + y * piece);
      PARE_UNROLL
      for (int j = 0; j < pieces_n; ++j)
        vb[j] =
            from_b.template load<piece>(k * stride_b + j * (Tile::columns / pieces_n) + x * piece);
      PARE_UNROLL
      for (int i = 0; i < Tile::per_m; ++i) PARE_UNROLL
      for (int j = 0; j < Tile::per_n; ++j)
        sum[i][j] = fma(va[i / piece][i % piece], vb[j / piece][j % piece], sum[i][j]);
    }
  };
  over_depth<Tile::depth>(block, stage_a, stage_b, store, use);

  Writer<T, Tile::per_n> writer(result, split, block);
  PARE_UNROLL
  for (int j = 0; j < Tile::per_n; ++j)
    writer.set_column(
        j, block.column + j / piece * (Tile::columns / pieces_n) + x * piece + j % piece);
  PARE_UNROLL
  for (int i = 0; i < Tile::per_m; ++i) {
    writer.start_row(block.row + i / piece * (Tile::rows / pieces_m) + y * piece + i % piece);
    PARE_UNROLL
    for (int j = 0; j < Tile::per_n; ++j) writer.put(j, sum[i][j]);
  }
}

}  // namespace pare::cuda
