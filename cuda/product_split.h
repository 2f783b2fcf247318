// Into how many parts the depth of a product is split, so that more blocks share the work, by a
// model of a large GPU: 132 processors of four schedulers, whose warps issue an instruction in four
// cycles each, 0.8 a cycle together at most. The model's numbers are constants: what is split, and
// so the bits of the result, depends on the shape alone.
#pragma once

#include <cstdint>

#include "cuda/host.h"

namespace pare::cuda {

constexpr int deepest_step = 32;  // the depth of every tile's step divides it

// What the model knows of a tile: its warps, the blocks that a processor's registers hold at once,
// the instructions of a thread for `deepest_step` of depth.
struct TileCost {
  int warps, resident, instructions;
};
template <class Tile>
constexpr TileCost cost_of() {
  constexpr int resident = 65536 / (Tile::threads * Tile::registers);
  return {Tile::threads / 32, resident > 0 ? resident : 1, Tile::instructions};
}

struct Parts {
  int64_t count = 1, depth = 0;  // each is so deep, but for the last
};
// Parts are whole steps of every tile, so that where they end does not depend on how operands lie
// in memory.
inline Parts parts_of(int64_t depth, int64_t wanted) {
  const int64_t part = ceil_div(ceil_div(depth, wanted), deepest_step) * deepest_step;
  return depth > part ? Parts{ceil_div(depth, part), part} : Parts{1, depth};
}

constexpr int64_t processors = 132;

// Cycles of a product of so many tiles in such parts. `bytes` are those of the result.
inline double cycles_of(const TileCost& tile, int64_t tiles, const Parts& parts, int64_t bytes) {
  constexpr double schedulers = 4, of_a_warp = 0.24, most = 0.8, bytes_a_cycle = 2300,
                   of_a_launch = 2300;
  const auto rate = [&](int64_t blocks) {
    const double r = of_a_warp * double(blocks) * tile.warps / schedulers;
    return r < most ? r : most;
  };
  const int64_t blocks = ceil_div(tiles * parts.count, processors);  // of the busiest processor
  const int64_t waves = blocks / tile.resident, rest = blocks % tile.resident;
  const double at_work =
      double(waves * tile.resident) / rate(tile.resident) + (rest ? double(rest) / rate(rest) : 0);
  const double steps = double(ceil_div(parts.depth, deepest_step));
  const double cycles = steps * tile.instructions * tile.warps / schedulers * at_work;
  return parts.count == 1
             ? cycles
             : cycles + of_a_launch + double(parts.count + 1) * double(bytes) / bytes_a_cycle;
}

// The parts that take the fewest cycles.
inline Parts quickest_parts(const TileCost& tile, int64_t tiles, int64_t depth, int64_t bytes) {
  constexpr int64_t least_depth = 2 * deepest_step;
  const int64_t most_blocks = 8 * processors * tile.resident;
  Parts best{1, depth};
  if (tiles == 0) return best;
  double least = cycles_of(tile, tiles, best, bytes);
  for (int64_t n = 2; n * least_depth <= depth && n * tiles <= most_blocks; ++n) {
    const Parts parts = parts_of(depth, n);
    const double cycles = cycles_of(tile, tiles, parts, bytes);
    if (cycles < least) least = cycles, best = parts;
  }
  return best;
}

}  // namespace pare::cuda
