// Kernels of matrix products: one block computes one tile of C = A B^T, step by step along the
// depth through two tiles of shared memory, of which one is filled while the other is used.
//
// Two bodies share the rest: multiply-adds on registers (f32, f64), and tensor cores on words of
// one tf32 or two bf16. Every element is a sum in order of depth; where the depth is split, parts
// go to scratch and a second kernel adds them in order: the bits depend on the shape alone.
#pragma once

#include "cuda/mma.h"
#include "cuda/operands.h"

namespace pare::cuda {

// Where element (row, column) of a product goes, and what happens to it on the way:
//   c[at] = act((accumulate ? c[at] : 0) + value + bias[group][column]).
// Rows are pixels (n, i, j) of a grid, columns pairs (a, b); a plain matrix has one of each but the
// last.
template <class T>
struct Result {
  T* c = nullptr;
  int m = 0, n = 0;
  int64_t group_step = 0;
  Divisor grid{Divisor::none}, grid_w{Divisor::none};
  int64_t image_step = 0, line_step = 0, pixel_step = 0;
  Divisor inner{Divisor::none};
  int64_t outer_step = 0, inner_step = 1;
  const T* bias = nullptr;
  bool relu = false, accumulate = false;

  PARE_DEVICE int64_t row_offset(int row) const {
    const int image = grid.quotient(row), rest = row - image * grid.value;
    const int i = grid_w.quotient(rest), j = rest - i * grid_w.value;
    return image * image_step + i * line_step + j * pixel_step;
  }
  PARE_DEVICE void put(int group, int64_t row_offset, int column, T value) const {
    const int a = inner.quotient(column), b = column - a * inner.value;
    T* to = c + group * group_step + row_offset + a * outer_step + b * inner_step;
    if (accumulate) value = *to + value;
    if (bias) value = value + bias[int64_t(group) * n + column];
    *to = relu && !(value > T(0)) ? T(0) : value;
  }
};

// The depth in `parts` of `part` each (a multiple of the tile's depth); parts of m x n elements
// (per group) in scratch where there are several.
template <class T>
struct Split {
  int depth, part, parts;
  T* sums;
};

// What a block computes: its rows, columns, group and part of the depth.
struct Block {
  int row, column, group, part, begin, end;
  template <class Tile, class T>
  PARE_DEVICE static Block of(Tile, const Result<T>& result, const Split<T>& split) {
    // Blocks that share rows of A run side by side.
    const int across = (result.n + Tile::columns - 1) / Tile::columns;
    const int row = block_x() / across;
    const int begin = block_z() * split.part;
    const int end = begin + split.part < split.depth ? begin + split.part : split.depth;
    return {row * Tile::rows,
            (block_x() - row * across) * Tile::columns,
            block_y(),
            block_z(),
            begin,
            end};
  }
};
// Hands element (row, column) of the block's sums on; call for one row at a time.
template <class T>
struct Writer {
  const Result<T>& result;
  const Split<T>& split;
  const Block& block;
  int64_t offset = 0;
  bool inside = false;
  int row = 0;
  PARE_DEVICE void start_row(int r) {
    row = r;
    inside = r < result.m;
    if (inside && split.parts == 1) offset = result.row_offset(r);
  }
  PARE_DEVICE void put(int column, T value) const {
    if (!inside || column >= result.n) return;
    if (split.parts == 1) {
      result.put(block.group, offset, column, value);
    } else {
      const int64_t size = int64_t(result.m) * result.n;
      split.sums[(int64_t(block.part) * grid_height() + block.group) * size +
                 int64_t(row) * result.n + column] = value;
    }
  }
};

// One operand's next tile on its way: memory, registers, shared memory. Neighbouring threads take
// what is neighbouring in memory, a whole line of the tile; or only 32 bytes of it (sectors), which
// is what memory moves at least, where whole lines would store into few banks.
template <class Source, int rows, int depth, int threads, bool sectors>
struct Stage {
  using T = typename Source::Element;
  static constexpr int width = Source::width, vectors = rows * depth / width;
  static constexpr int count = (vectors + threads - 1) / threads;
  static constexpr int line = (Source::across ? rows : depth) / width;
  static constexpr int piece = sectors && Source::across ? 8 / width : line;
  const Source& source;
  typename Source::Place places[count];
  Vector<T, width> held[count] = {};

  PARE_DEVICE static int vector(int i) { return thread_x() + i * threads; }
  PARE_DEVICE static int row_of(int v) {
    return Source::across ? (v / (piece * depth) * piece + v % piece) * width : v / line;
  }
  PARE_DEVICE static int depth_of(int v) {
    return Source::across ? v / piece % depth : v % line * width;
  }

  PARE_DEVICE Stage(const Source& s, int first_row, int group) : source(s) {
    PARE_UNROLL
    for (int i = 0; i < count; ++i) places[i] = source.place(first_row + row_of(vector(i)), group);
  }
  PARE_DEVICE void fetch(int k) {
    PARE_UNROLL
    for (int i = 0; i < count; ++i)
      if (vectors % threads == 0 || vector(i) < vectors)
        held[i] = source.fetch(places[i], k + depth_of(vector(i)));
  }
  // put(row, depth, vector) for what this thread holds.
  template <class Put>
  PARE_DEVICE void store(Put&& put) const {
    PARE_UNROLL
    for (int i = 0; i < count; ++i)
      if (vectors % threads == 0 || vector(i) < vectors)
        put(row_of(vector(i)), depth_of(vector(i)), held[i]);
  }
};

// Steps through the depth: store(buffer) and use(buffer) see each tile in turn. One barrier a step:
// who stores into a buffer has passed the barrier behind its last use.
template <int depth, class A, class B, class Store, class Use>
PARE_DEVICE inline void over_depth(const Block& block, A& a, B& b, Store&& store, Use&& use) {
  if (block.begin >= block.end) return;
  a.fetch(block.begin);
  b.fetch(block.begin);
  int buffer = 0;
  for (int k = block.begin; k < block.end; k += depth) {
    store(buffer);
    barrier();
    if (k + depth < block.end) {
      a.fetch(k + depth);
      b.fetch(k + depth);
    }
    use(buffer);
    buffer ^= 1;
  }
}

// Register tiles of per_m x per_n elements a thread, held as pieces of 16 bytes that lie far apart
// so that a warp's reads of shared memory meet no bank twice.
template <int rows_, int columns_, int depth_, int per_m_, int per_n_>
struct RegisterTile {
  static constexpr int rows = rows_, columns = columns_, depth = depth_;
  static constexpr int per_m = per_m_, per_n = per_n_;
  static constexpr int across = columns / per_n, threads = rows / per_m * across;
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

  Writer<T> writer{result, split, block};
  PARE_UNROLL
  for (int i = 0; i < Tile::per_m; ++i) {
    writer.start_row(block.row + i / piece * (Tile::rows / pieces_m) + y * piece + i % piece);
    PARE_UNROLL
    for (int j = 0; j < Tile::per_n; ++j)
      writer.put(block.column + j / piece * (Tile::columns / pieces_n) + x * piece + j % piece,
                 sum[i][j]);
  }
}

// What tensor cores multiply: tf32 in words of its own, bf16 two to a word.
struct Tf32 {
  using Stored = uint32_t;
  PARE_DEVICE static Stored round(float x) { return to_tf32(x); }
  PARE_DEVICE static void step(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_tf32(d, a, b);
  }
};
struct Bf16 {
  using Stored = BFloat16;
  PARE_DEVICE static Stored round(float x) { return BFloat16(x); }
  PARE_DEVICE static void step(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_bf16(d, a, b);
  }
};

// Tiles of warps_m x warps_n warps; 16 words of depth a step, two steps of the tensor cores.
template <class Type_, int rows_, int columns_, int warps_m_, int warps_n_>
struct TensorTile {
  using Type = Type_;
  static constexpr int rows = rows_, columns = columns_, words = 16;
  static constexpr int depth = words * 4 / int(sizeof(typename Type::Stored));
  static constexpr int warps_m = warps_m_, warps_n = warps_n_, threads = warps_m * warps_n * 32;
  static constexpr int stride = words + 4;  // 8 rows of 4 words lie in 32 different banks
  static constexpr int shared_bytes = 2 * (rows + columns) * stride * 4;
};

// In words the fragments of tf32 and bf16 are the same: a word t, or t + 4, of rows g and g + 8.
template <class Tile, class A, class B>
PARE_KERNEL void tensor_product_kernel(A a, B b, Result<float> result, Split<float> split) {
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

  Writer<float> writer{result, split, block};
  PARE_UNROLL
  for (int i = 0; i < tiles_m; ++i) PARE_UNROLL
  for (int half = 0; half < 2; ++half) {
    writer.start_row(block.row + first_row + i * 16 + half * 8 + g);
    PARE_UNROLL
    for (int j = 0; j < tiles_n; ++j) PARE_UNROLL
    for (int e = 0; e < 2; ++e)
      writer.put(block.column + first_column + j * 8 + 2 * t + e, sum[i][j][half * 2 + e]);
  }
}

}  // namespace pare::cuda
