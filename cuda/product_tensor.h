// Matrix products on tensor cores, in words of one tf32 or two bf16; sums are f32.
#pragma once

#include "cuda/mma.h"
#include "cuda/product_tile.h"

namespace pare::cuda {

// What tensor cores multiply: tf32 in words of its own, bf16 two to a word.
struct Tf32 {
  using Stored = uint32_t;
  PARE_DEVICE static Stored round(float x) { return round_tf32(x); }
  PARE_DEVICE static void step(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_tf32(d, a, b);
  }
};
struct Bf16 {
  using Stored = BFloat16;
  PARE_DEVICE static Stored round(float x) { return round_bf16(x); }
  PARE_DEVICE static void step(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_bf16(d, a, b);
  }
};

// Tiles of warps_m x warps_n warps; 16 words of depth a step, two steps of the tensor cores. Half
// of that in the shallow form.
template <class Type_, int rows_, int columns_, int warps_m_, int warps_n_, int words_ = 16>
struct TensorTile {
  using Type = Type_;
  using Shallow = TensorTile<Type_, rows_, columns_, warps_m_, warps_n_, 8>;
  static constexpr int rows = rows_, columns = columns_, words = words_;
  static constexpr int depth = words * 4 / int(sizeof(typename Type::Stored));
  static constexpr int warps_m = warps_m_, warps_n = warps_n_, threads = warps_m * warps_n * 32;
  static constexpr int stride = words + 4;  // 8 rows of 4 words lie in 32 different banks
  static constexpr int shared_bytes = 2 * (rows + columns) * stride * 4;
  // Of a thread, as compiled; instructions in `deepest_step` of depth.
  static constexpr int registers = 232, instructions = 800;
};

// In words the fragments of tf32 and bf16 are the same: a word t, or t + 4, of rows g and g + 8.
template <class Tile, class A, class B>
PARE_DEVICE inline void tensor_product(const A& a, const B& b, const Result<float>& result,
                                       const Split<float>& split) {
  using Stored = typename Tile::Type::Stored;
  constexpr int per_word = 4 / int(sizeof(Stored)), stride = Tile::stride;
  constexpr int tiles_m = Tile::rows / Tile::warps_m / 16,
                tiles_n = Tile::columns / Tile::warps_n / 8;
  constexpr int size_a = Tile::rows * stride, size = (Tile::rows + Tile::columns) * stride;
  const Shared<uint32_t> tiles = dynamic_shared<uint32_t>();
  const Shared<Stored> elements = dynamic_shared<Stored>();
  const Block block = Block::of(Tile{}, result, split);
  Stage<A, Tile::rows, Tile::depth, Tile::threads, true> stage_a(a, block.row, block.group);
  Stage<B, Tile::columns, Tile::depth, Tile::threads, true> stage_b(b, block.column, block.group);
  const int g = lane() / 4, t = lane() % 4;
  const int first_row = warp() / Tile::warps_n * tiles_m * 16;
  const int first_column = warp() % Tile::warps_n * tiles_n * 8;
  float sum[tiles_m][tiles_n][4] = {};

  const auto place = [](Shared<Stored> tile, int row, int k, const auto& v, auto across) {
    constexpr int n = int(sizeof(v) / sizeof(float));
    if constexpr (across || n == 1) {
      PARE_UNROLL
      for (int i = 0; i < n; ++i) tile[(row + i) * stride * per_word + k] = Tile::Type::round(v[i]);
    } else {
      Vector<Stored, n> rounded;
      PARE_UNROLL
      for (int i = 0; i < n; ++i) rounded[i] = Tile::Type::round(v[i]);
      tile.template store<n>(row * stride * per_word + k, rounded);
    }
  };
  const auto store = [&](int buffer) {
    const Shared<Stored> to = elements + buffer * size * per_word;
    stage_a.store([&](int row, int k, const auto& v) {
      place(to, row, k, v, std::bool_constant<A::across>{});
    });
    stage_b.store([&](int row, int k, const auto& v) {
      place(to + size_a * per_word, row, k, v, std::bool_constant<B::across>{});
    });
  };
  const auto use = [&](int buffer) {
    const Shared<uint32_t> from_a = tiles + buffer * size, from_b = from_a + size_a;
    PARE_UNROLL
    for (int first = 0; first < Tile::words; first += 8) {
      const int word = first + t;
      uint32_t va[tiles_m][4], vb[tiles_n][2];
      PARE_UNROLL
      for (int i = 0; i < tiles_m; ++i) PARE_UNROLL
      for (int part = 0; part < 4; ++part)
        va[i][part] =
            from_a[(first_row + i * 16 + g + part % 2 * 8) * stride + word + part / 2 * 4];
      PARE_UNROLL
      for (int j = 0; j < tiles_n; ++j) PARE_UNROLL
      for (int part = 0; part < 2; ++part)
        vb[j][part] = from_b[(first_column + j * 8 + g) * stride + word + part * 4];
      PARE_UNROLL
      for (int i = 0; i < tiles_m; ++i) PARE_UNROLL
      for (int j = 0; j < tiles_n; ++j) Tile::Type::step(sum[i][j], va[i], vb[j]);
    }
  };
  over_depth<Tile::depth>(block, stage_a, stage_b, store, use);

  Writer<float, tiles_n * 2> writer(result, split, block);
  PARE_UNROLL
  for (int j = 0; j < tiles_n * 2; ++j)
    writer.set_column(j, block.column + first_column + j / 2 * 8 + 2 * t + j % 2);
  PARE_UNROLL
  for (int i = 0; i < tiles_m; ++i) PARE_UNROLL
  for (int half = 0; half < 2; ++half) {
    writer.start_row(block.row + first_row + i * 16 + half * 8 + g);
    PARE_UNROLL
    for (int j = 0; j < tiles_n * 2; ++j) writer.put(j, sum[i][j / 2][half * 2 + j % 2]);
  }
}

template <class Tile, class A, class B>
PARE_KERNEL void tensor_product_kernel(A a, B b, Result<float> result, Split<float> split) {
  if constexpr (has_mma) tensor_product<Tile>(a, b, result, split);
}

}  // namespace pare::cuda
