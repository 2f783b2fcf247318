// Which channels of a graph go together (the dependency graph of Fang et al. 2023, index by index).
//
// Every index along every axis of every value and buffer is a point. Each node's op ties points
// (autograd/coupling.h); a closed set of tied points is a unit, which can only be removed whole.
// Points of an axis that some op does not mention, of the input and of the outputs keep their unit.
// Units that touch the same axes in the same way form a group: the channels of one layer, or of all
// layers that a residual sum joins.
#pragma once

#include <string>
#include <vector>

#include "autograd/graph.h"

namespace pare {

// What a parameter is to the layer that owns it, seen from the axis in question.
enum class ChannelRole : uint8_t {
  filter,  // weight, along what it makes
  bias,    //
  input,   // weight, along what it reads
  scale,   // gamma of a norm
  shift,   // beta of a norm
  other,
};

// One axis that a group's units cut. Unit u owns the indices [u * per_unit, (u + 1) * per_unit).
struct ChannelAxis {
  int value = -1;   // of the graph, or
  int buffer = -1;  // of its buffers
  int axis = 0;
  ChannelRole role = ChannelRole::other;
  int64_t per_unit = 1;
  std::vector<int64_t> indices;
};

struct ChannelGroup {
  std::string name;               // of the first layer that makes these channels; "NAME#2" for the
                                  // second such group, whatever has been removed of the first
  std::vector<ChannelAxis> axes;  // of parameters, constants, buffers and computed values
  int64_t units = 0;
  int64_t channels_per_unit = 1;  // in that first layer
  int64_t channels() const { return units * channels_per_unit; }
};

// Channels that stay whole, and why.
struct KeptChannels {
  std::string name;  // of the layer
  int64_t channels = 0;
  std::string why;
};

struct ChannelAnalysis {
  std::vector<ChannelGroup> groups;  // in the order of their first layers
  std::vector<KeptChannels> kept;
};
ChannelAnalysis find_channel_groups(const Graph& graph);

// A table of the groups with the layers that share each.
std::string describe(const Graph& graph, const ChannelAnalysis& analysis);

}  // namespace pare
