// Layers choose their form one by one (choose.cpp); here the plan that comes out is held against
// the dense plan as a whole. What a layer cannot see (conversions that others cause, cut frames,
// threads) can make the sum of its gains a loss.
#pragma once

#include <functional>

#include "compress/plan/timing.h"

namespace pare::plan {

// Where sparse forms may run.
struct SparseUse {
  bool dense_layers = true, convolutions = true;
  bool one_image = true;  // in dense layers, of a single image
  bool operator==(const SparseUse&) const = default;
};
inline constexpr SparseUse dense_alone{false, false, false};
using StatePtr = std::unique_ptr<Plan::State>;

// One plan of a graph that the passes have been over, by the choice of each layer.
StatePtr build_plan(const Graph& graph, SparseUse sparse, bool winograd, const Timing& timing);

// The plan that `make` builds with sparse forms everywhere, where neither one image nor a batch of
// 64 takes over 5 % longer through it than through the dense plan, with the threads in use. Else
// with fewer: single images run their dense layers dense, if it was they that took longer;
// convolutions run dense; both; at last all is dense. Its account says what was measured. A plan in
// which no layer took a sparse form is returned as it is.
//
// Every form of a dense layer has the same bits, so for networks without sparse convolutions the
// choice changes none. A convolution that may run in Winograd's form, and a dense layer behind a
// flatten, whose order of sums is that of the image's layout, differ in the last ones.
StatePtr quickest_plan(const std::function<StatePtr(SparseUse)>& make, const Timing& timing);

}  // namespace pare::plan
