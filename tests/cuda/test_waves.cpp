// How evenly the products of the zoo's convolutions spread over a large GPU (132 processors), by
// arithmetic on the tiles and splits that cuda/product.h chooses: the processor that gets the most
// blocks decides, and the others wait for it.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "cuda/product.h"

using namespace pare::cuda;

TEST_SUITE_BEGIN("emulated");

namespace {

constexpr int64_t batch = 128;

struct Layer {
  std::string name;
  int64_t in, out, kernel, size_in, size_out;  // channels; pixels of a side
};

// The share of the GPU that is busy while a product's busiest processor is.
template <Form form>
double busy(int64_t m, int64_t n, int64_t depth) {
  double share = 0;
  with_tile_size<form>(m, n, 1, [&]<int rows, int columns>(TileSize<rows, columns> size) {
    using Tile = decltype(RegisterTiles<float>::of(size));
    const int64_t tiles = ceil_div(m, rows) * ceil_div(n, columns);
    const int64_t blocks = tiles * quickest_parts(cost_of<Tile>(), tiles, depth, 4 * m * n).count;
    share = double(blocks) / double(processors * ceil_div(blocks, processors));
  });
  return share;
}

}  // namespace

TEST_CASE("products of the zoo's convolutions keep most of a GPU busy") {
  const std::vector<Layer> layers{
      {"lenet5 conv1", 1, 20, 5, 28, 24},   {"lenet5 conv2", 20, 50, 5, 12, 8},
      {"resnet20 first", 3, 16, 3, 32, 32}, {"resnet20 16", 16, 16, 3, 32, 32},
      {"resnet20 32", 32, 32, 3, 16, 16},   {"resnet20 64", 64, 64, 3, 8, 8}};
  std::set<std::string> idle;
  for (const Layer& l : layers) {
    const int64_t taps = l.kernel * l.kernel, to = batch * l.size_out * l.size_out,
                  from = batch * l.size_in * l.size_in;
    const auto note = [&](const char* what, double share) {
      INFO(l.name << " " << what << ": " << share);
      if (share < 0.6) idle.insert(l.name + " " + what);
    };
    note("y", busy<Form::tall>(to, l.out, taps * l.in));
    if (l.in > 3) note("dx", busy<Form::tall>(from, l.in, taps * l.out));  // no first layer
    note("dw", busy<Form::wide>(l.out, taps * l.in, to));
  }
  CHECK(idle == std::set<std::string>{});
}

TEST_CASE("a depth is split where that is worth its joining, into parts that cover it") {
  constexpr TileCost tile = cost_of<decltype(RegisterTiles<float>::of(TileSize<64, 64>{}))>();
  CHECK(quickest_parts(tile, 4096, 8192, 1 << 28).count == 1);  // they fill the GPU
  CHECK(quickest_parts(tile, 1, 32, 4096).count == 1);          // nothing to split
  CHECK(quickest_parts(tile, 0, 0, 0).count == 1);
  CHECK(quickest_parts(tile, 8, 8192, 4 * 50 * 500).count == 32);
  for (const int64_t depth : {65, 500, 1250, 131072})
    for (const int64_t tiles : {1, 10, 128, 144}) {
      const Parts p = quickest_parts(tile, tiles, depth, 1 << 16);
      CHECK((p.count - 1) * p.depth < depth);
      CHECK(p.count * p.depth >= depth);
      CHECK((p.count == 1 || p.depth % deepest_step == 0));
    }
}

TEST_SUITE_END();
