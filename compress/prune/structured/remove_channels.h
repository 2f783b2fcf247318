// Removes channels: slices every tensor that holds them and makes the ops' attributes fit.
#pragma once

#include <vector>

#include "compress/prune/structured/channel_groups.h"

namespace pare {

// Per group of the analysis, per unit: whether it stays.
using KeptUnits = std::vector<std::vector<uint8_t>>;
KeptUnits keep_all(const ChannelAnalysis& analysis);

// The graph without the units that do not stay. What is cut is a copy; other tensors are shared
// with `graph`, which stays as it is. Throws Error{usage} unless there is a flag for every unit of
// every group and each keeps one; Error{bad_input} where a tensor has not the extent of which the
// analysis knows; and what an op says that does not take what is left.
Graph without_channels(const Graph& graph, const ChannelAnalysis& analysis, const KeptUnits& kept);

// The same in place: parameters keep their handles, so that an optimizer over them goes on; value,
// mask and optimizer slots are cut alike, gradients dropped. The smaller graph has run once, on
// zeros, before anything is changed. The module that a graph was captured from shares its
// parameters and no longer fits them: prune graph.clone() to keep it. The outputs are those of the
// network with the removed channels zeroed, up to the order of sums. Throws as without_channels.
void remove_channels(Graph& graph, const ChannelAnalysis& analysis, const KeptUnits& kept);

}  // namespace pare
