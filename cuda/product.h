// C = A B^T on any operands (cuda/operands.h): chooses the tile, the split of the depth and the
// units by the shape, and launches.
#pragma once

#include "cuda/host.h"
#include "cuda/join_parts.h"
#include "cuda/product_registers.h"
#include "cuda/product_split.h"
#include "cuda/product_tensor.h"

namespace pare::cuda {

// Rows and columns that a caller's products may have: many of both, many rows (pixels) and few
// columns, or the reverse. Kernels are compiled for what can happen only.
enum class Form { any, tall, wide };

template <int rows, int columns>
struct TileSize {};

template <class T>
struct RegisterTiles;
template <>
struct RegisterTiles<float> {
  static RegisterTile<128, 128, 8, 8, 8> of(TileSize<128, 128>);
  template <int rows, int columns>
  static RegisterTile<rows, columns, 16, 4, 4> of(TileSize<rows, columns>);
};
template <>
struct RegisterTiles<double> {
  template <int rows, int columns>
  static RegisterTile<32, 32, 16, 2, 2> of(TileSize<rows, columns>);
};
template <class Type>
struct TensorTiles {
  static TensorTile<Type, 128, 128, 2, 4> of(TileSize<128, 128>);
  static TensorTile<Type, 64, 64, 2, 2> of(TileSize<64, 64>);
  template <int columns>
  static TensorTile<Type, 128, columns, 4, 1> of(TileSize<128, columns>);
  template <int rows>
  static TensorTile<Type, rows, 128, 1, 4> of(TileSize<rows, 128>);
};

// A thread holds a step's vectors of both operands, and where each one's row lies, which takes up
// to five registers. Where operands come element by element and there are too many for the
// registers that there are, steps are half as deep.
template <class Deep, class A, class B>
struct TensorTileFor {
  static constexpr int vectors = Stage<A, Deep::rows, Deep::depth, Deep::threads, true>::count +
                                 Stage<B, Deep::columns, Deep::depth, Deep::threads, true>::count;
  using Tile = std::conditional_t<(vectors > 18), typename Deep::Shallow, Deep>;
};

template <Form form, class F>
void with_tile_size(int64_t m, int64_t n, int64_t groups, F&& f) {
  if constexpr (form == Form::tall) {
    if (n <= 16) return f(TileSize<128, 16>{});
    if (n <= 32) return f(TileSize<128, 32>{});
  }
  if constexpr (form == Form::wide) {
    if (m <= 16) return f(TileSize<16, 128>{});
    if (m <= 32) return f(TileSize<32, 128>{});
  } else {
    // Large tiles read the least, where there are enough of them to fill a large GPU.
    if (n > 64 && ceil_div(m, 128) * ceil_div(n, 128) * groups >= processors)
      return f(TileSize<128, 128>{});
  }
  f(TileSize<64, 64>{});
}

template <class Tile, class T>
Split<T> split_of(const Result<T>& result, int64_t depth, int64_t groups, int64_t tiles) {
  const int64_t size = groups * result.m * result.n;
  const Parts parts = quickest_parts(cost_of<Tile>(), tiles, depth, size * int64_t(sizeof(T)));
  Split<T> split{int(depth), int(parts.depth), int(parts.count), nullptr};
  if (parts.count > 1) split.sums = scratch<T>(parts.count * size);
  return split;
}

// result = A B^T for each group, `depth` deep. The precision counts for float where the device has
// tensor cores that know it.
template <Form form, class A, class B, class T>
void product(const A& a, const B& b, const Result<T>& result, int64_t depth, int64_t groups,
             Precision precision) {
  const auto run = [&]<class Tile>(Tile, auto kernel, int shared_bytes) {
    const int64_t tiles = ceil_div(result.m, Tile::rows) * ceil_div(result.n, Tile::columns);
    if (groups > 65535) throw Failure(Status::failed, "more than 65535 groups of channels");
    static_assert(deepest_step % Tile::depth == 0);
    const Split<T> split = split_of<Tile>(result, depth, groups, tiles * groups);
    launch(kernel, Dim(tiles, groups, split.parts), Tile::threads, size_t(shared_bytes), stream(),
           a, b, result, split);
    if (split.parts > 1) join_parts(result, split, groups);
  };
  with_tile_size<form>(result.m, result.n, groups, [&]<class Size>(Size size) {
    if constexpr (std::is_same_v<T, float>) {
      const auto run_tensor = [&]<class Type>(Type) {
        using Tile = typename TensorTileFor<decltype(TensorTiles<Type>::of(size)), A, B>::Tile;
        run(Tile{}, tensor_product_kernel<Tile, A, B>, Tile::shared_bytes);
      };
      if (properties().capability >= 80) {
        if (precision == Precision::tf32) return run_tensor(Tf32{});
        if (precision == Precision::bf16) return run_tensor(Bf16{});
      }
    }
    using Tile = decltype(RegisterTiles<T>::of(size));
    run(Tile{}, product_kernel<Tile, A, B, T>, 0);
  });
}

// Numbers of rows, columns and depth are 31 bits wide, and the last tile must end below that too.
inline int extent(int64_t n) {
  constexpr int64_t largest_tile = 128;
  if (n > Divisor::none - largest_tile)
    throw Failure(Status::failed,
                  "a product of more than 2^31 - 129 rows, or an image of as many elements");
  return int(n);
}
template <class T>
bool vectors_at(const T* p, int64_t a, int64_t b) {
  return std::is_same_v<T, float> && uintptr_t(p) % 16 == 0 && a % 4 == 0 && b % 4 == 0;
}

}  // namespace pare::cuda
