// Walking several tensors together: extents, and the step of each tensor along them; 0 where an
// extent of one is repeated (broadcasting) or folded into one place (reductions).
#pragma once

#include "core/backend.h"
#include "cuda/device.h"

namespace pare::cuda {

struct Axes {
  static constexpr int tensors = 3;
  int rank = 0;
  int64_t dims[Shape::max_rank] = {};
  int64_t steps[tensors][Shape::max_rank] = {};

  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  // Adds an axis inside of the others; joined with the last one where every tensor walks through
  // both in one stride. Extents of one are left out.
  void add(int64_t extent, int64_t s0, int64_t s1, int64_t s2) {
    if (extent == 1) return;
    const int64_t s[tensors] = {s0, s1, s2};
    bool joined = rank > 0;
    for (int t = 0; t < tensors; ++t) joined = joined && steps[t][rank - 1] == s[t] * extent;
    if (!joined) dims[rank++] = 1;
    dims[rank - 1] *= extent;
    for (int t = 0; t < tensors; ++t) steps[t][rank - 1] = s[t];
  }
};

// Where element i of the walk (last axis fastest) lies in each tensor.
struct Place {
  int64_t at[Axes::tensors];
};
PARE_DEVICE inline Place place_of(const Axes& axes, int64_t i) {
  Place p{};
  for (int axis = axes.rank - 1; axis >= 0; --axis) {
    int64_t k = i;
    if (axis > 0) {
      // 64-bit division is slow on a GPU.
      const int64_t extent = axes.dims[axis];
      const int64_t rest =
          (i | extent) >> 32 ? i / extent : int64_t(uint32_t(i) / uint32_t(extent));
      k = i - rest * axes.dims[axis];
      i = rest;
    }
    for (int t = 0; t < Axes::tensors; ++t) p.at[t] += k * axes.steps[t][axis];
  }
  return p;
}

// Steps of `t` along the axes of `whole`, aligned at the last one; 0 where t's extent is one.
struct Steps {
  int64_t at[Shape::max_rank] = {};
  Steps(const TensorArg& t, const TensorArg& whole) {
    int64_t weight = 1;
    for (int i = t.rank - 1, o = whole.rank - 1; i >= 0; --i, --o) {
      at[o] = t.dims[i] == 1 ? 0 : weight;
      weight *= t.dims[i];
    }
  }
};

}  // namespace pare::cuda
