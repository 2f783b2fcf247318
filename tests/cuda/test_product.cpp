// Every tile of matrix products, launched by itself: all sizes of edges, both directions of memory,
// the depth whole and split, against sums in double. Factors are rounded beforehand to what the
// units multiply, so that products are exact and the bound is that of the sums.
#include <doctest/doctest.h>

#include <cmath>

#include "core/random.h"
#include "cuda/axes.h"
#include "cuda/product.h"
#include "tests/cuda/device_array.h"
#include "tests/support/op_case_list.h"

using namespace pare;
using namespace pare::cuda;
using namespace pare::testing;

TEST_SUITE_BEGIN("emulated");  // a GPU has no part in these

namespace {

enum class Bug { none, shifted_depth, shifted_row };

// An operand with a mistake in it.
template <class Source, Bug bug>
struct Wrong : Source {
  PARE_DEVICE auto place(int row, int group) const {
    return Source::place(row + (bug == Bug::shifted_row && row == 1 ? 1 : 0), group);
  }
  PARE_DEVICE auto at(int k) const {
    return Source::at(bug == Bug::shifted_depth && k == 3 ? k + 1 : k);
  }
};

template <class T>
std::vector<T> factors(int64_t n, uint64_t key, Precision precision) {
  Rng rng(key);
  std::vector<T> v(static_cast<size_t>(n));
  for (T& x : v) {
    const float f = 2 * rng.uniform() - 1;
    x = precision == Precision::tf32   ? T(std::bit_cast<float>(to_tf32(f)))
        : precision == Precision::bf16 ? T(float(BFloat16(f)))
                                       : T(f);
  }
  return v;
}

struct Extents {
  int m, n, k;
};

// The largest error of C = A B^T, in units of its bound.
template <class Tile, bool a_across, bool b_across, int width, Bug bug = Bug::none, class T = float>
double error_of(const Extents& e, int parts, Precision precision) {
  const auto [m, n, k] = e;
  const std::vector<T> va = factors<T>(m * k, 1, precision), vb = factors<T>(n * k, 2, precision);
  const std::vector<T> bias = factors<T>(n, 3, Precision::fp32);
  const DeviceArray<T> a(va), b(vb), c(std::vector<T>(size_t(m * n), T(0.5))), d(bias);
  Result<T> result;
  result.c = c.p, result.m = m, result.n = n, result.pixel_step = n;
  result.bias = d.p, result.accumulate = true;
  Split<T> split{k, k, 1, nullptr};
  const DeviceArray<T> sums(std::vector<T>(size_t(parts * m * n)));
  if (parts > 1) {
    split.part = int(ceil_div(ceil_div(k, parts), Tile::depth) * Tile::depth);
    split.parts = int(ceil_div(k, split.part));
    split.sums = sums.p;
  }
  using A = Wrong<Matrix<T, a_across, width>, bug>;
  using B = Matrix<T, b_across, width>;
  const A from_a{{a.p, a_across ? m : k, m, k}};
  const B from_b{b.p, b_across ? n : k, n, k};
  const Dim grid(ceil_div(m, Tile::rows) * ceil_div(n, Tile::columns), 1, split.parts);
  if constexpr (requires { Tile::words; })
    launch(tensor_product_kernel<Tile, A, B>, grid, Tile::threads, Tile::shared_bytes, stream(),
           from_a, from_b, result, split);
  else
    launch(product_kernel<Tile, A, B, T>, grid, Tile::threads, 0, stream(), from_a, from_b, result,
           split);
  if (split.parts > 1) join_parts(result, split, 1);
  const std::vector<T> got = c.values();
  double worst = 0;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double want = 0.5 + double(bias[size_t(j)]);
      for (int q = 0; q < k; ++q)
        want += double(va[size_t(a_across ? q * m + i : i * k + q)]) *
                double(vb[size_t(b_across ? q * n + j : j * k + q)]);
      const double off = std::abs(double(got[size_t(i * n + j)]) - want);
      worst = off == off ? std::max(worst, off) : INFINITY;
    }
  return worst / (dot_units(k + 2) * (sizeof(T) == 8 ? 0x1p-53 : 0x1p-24));
}

template <class Tile, class T = float>
void check_tile(Precision precision) {
  CAPTURE(Tile::rows);
  CAPTURE(Tile::columns);
  for (const Extents& e : {Extents{1, 1, 1}, {Tile::rows + 5, Tile::columns + 3, 37}})
    CHECK(error_of<Tile, false, false, 1, Bug::none, T>(e, 1, precision) < 1);
  CHECK(error_of<Tile, true, false, 1, Bug::none, T>({7, 9, 71}, 3, precision) < 1);
  CHECK(error_of<Tile, true, false, 1, Bug::none, T>({3, 5, 19 * Tile::depth}, 19, precision) < 1);
  if constexpr (std::is_same_v<T, float>) {
    CHECK(error_of<Tile, true, true, 4>({Tile::rows + 4, 12, 41}, 2, precision) < 1);
    CHECK(error_of<Tile, false, true, 4>({9, Tile::columns + 8, 36}, 1, precision) < 1);
  }
}

template <class Tiles>
void check_tiles(Precision precision) {
  check_tile<decltype(Tiles::of(TileSize<128, 128>{}))>(precision);
  check_tile<decltype(Tiles::of(TileSize<64, 64>{}))>(precision);
  check_tile<decltype(Tiles::of(TileSize<128, 16>{}))>(precision);
  check_tile<decltype(Tiles::of(TileSize<128, 32>{}))>(precision);
  check_tile<decltype(Tiles::of(TileSize<16, 128>{}))>(precision);
  check_tile<decltype(Tiles::of(TileSize<32, 128>{}))>(precision);
}

// Where operands come element by element.
struct ShallowTiles {
  template <class Size>
  static typename decltype(TensorTiles<Bf16>::of(Size{}))::Shallow of(Size);
};

}  // namespace

TEST_CASE("tiles of multiply-adds are the products of their matrices") {
  check_tiles<RegisterTiles<float>>(Precision::fp32);
  check_tile<decltype(RegisterTiles<double>::of(TileSize<64, 64>{})), double>(Precision::fp32);
}
TEST_CASE("tiles of tensor cores are the products of their matrices") {
  check_tiles<TensorTiles<Tf32>>(Precision::tf32);
  check_tiles<TensorTiles<Bf16>>(Precision::bf16);
  check_tiles<ShallowTiles>(Precision::bf16);
}

TEST_CASE("the bound of a product notices one shifted index") {
  const Extents e{70, 66, 37};
  using Plain = RegisterTile<64, 64, 16, 4, 4>;
  using Tensor = TensorTile<Bf16, 64, 64, 2, 2>;
  const auto wrong = [&]<class Tile>(Tile, Precision p) {
    CHECK(error_of<Tile, false, false, 1, Bug::none>(e, 1, p) < 1);
    CHECK(error_of<Tile, false, false, 1, Bug::shifted_depth>(e, 1, p) > 100);
    CHECK(error_of<Tile, false, false, 1, Bug::shifted_row>(e, 1, p) > 100);
  };
  wrong(Plain{}, Precision::fp32);
  wrong(Tensor{}, Precision::bf16);
}

TEST_CASE("no thread holds more vectors of operands than its registers take") {
  const auto check = []<class Size>(Size, auto type) {
    using Deep = decltype(TensorTiles<decltype(type)>::of(Size{}));
    using Thin = Matrix<float, false, 1>;
    using Wide = Matrix<float, false, 4>;
    using Chosen = TensorTileFor<Deep, Thin, Thin>;
    CHECK(TensorTileFor<typename Chosen::Tile, Thin, Thin>::vectors <= 24);
    CHECK(TensorTileFor<Deep, Wide, Wide>::Tile::words == 16);
  };
  check(TileSize<128, 128>{}, Bf16{});
  check(TileSize<64, 64>{}, Bf16{});
  check(TileSize<128, 16>{}, Bf16{});
  check(TileSize<128, 32>{}, Bf16{});
  check(TileSize<16, 128>{}, Bf16{});
  check(TileSize<32, 128>{}, Bf16{});
  check(TileSize<128, 128>{}, Tf32{});
}

TEST_CASE("products as large as 31 bits are cut without overflow") {
  constexpr int64_t most = (int64_t(1) << 31) - 129;
  CHECK(extent(most) == most);
  CHECK_THROWS_WITH_AS(extent(most + 1), doctest::Contains("more than 2^31"), Failure);
  Result<float> result;
  result.m = result.n = 1;
  const Split<float> split{int(most), 8134432, 264, nullptr};
  emulation::block_at = {0, 0, split.parts - 1};
  const Block last = Block::of(RegisterTile<64, 64, 16, 4, 4>{}, result, split);
  emulation::block_at = {};
  CHECK(last.begin == 263 * 8134432);
  CHECK(last.end == most);
}

TEST_CASE("an axis of more than 2^32 elements is walked by 64-bit numbers") {
  Axes axes;
  axes.add(3, int64_t(5) << 32, 0, 0);
  axes.add(int64_t(1) << 32, 1, 0, 0);
  for (const int64_t i : {int64_t(7), (int64_t(1) << 32) - 1, (int64_t(2) << 32) + 9}) {
    CAPTURE(i);
    const int64_t row = i >> 32;
    CHECK(place_of(axes, i).at[0] == row * (int64_t(5) << 32) + (i & 0xffffffff));
  }
}

TEST_CASE("fixed divisors divide every number below 2^31") {
  Rng rng(5);
  for (const int64_t d : {1, 2, 3, 5, 7, 64, 65, 144, 1000, 65535, 65537, 0x3fffffff, 0x7ffffffe,
                          int(Divisor::none)}) {
    const Divisor divisor(d);
    for (const int64_t n :
         {int64_t(0), int64_t(1), d - 1, d, 2 * d - 1, 2 * d, int64_t(0x7ffffffe)})
      if (n < Divisor::none) CHECK(divisor.quotient(int(n)) == n / d);
    for (int i = 0; i < 1000; ++i) {
      const auto n = int64_t(rng.below(uint64_t(Divisor::none)));
      CHECK(divisor.quotient(int(n)) == n / d);
    }
  }
}

TEST_SUITE_END();
