// Structured pruning: ranks the channels of all groups and removes the least important, so that the
// network is smaller and faster in dense kernels.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compress/prune/prune.h"
#include "compress/prune/structured/channel_criterion.h"
#include "compress/prune/structured/remove_channels.h"

namespace pare {

struct PrunedGroup {
  std::string name;
  int64_t channels = 0, kept = 0;
};

// How many channels go. One of three says it: `widths`, else `macs`, else `sparsity`.
struct ChannelOptions {
  double sparsity = 0.5;             // share of the channels of all groups, 0..1
  std::optional<double> macs = {};   // share of multiply-accumulates that stay at most, 0..1: the
                                     // least sparsity that reaches it
  std::vector<int64_t> widths = {};  // channels that each group keeps, in the order of the groups
  PruneScope scope = PruneScope::global;  // rank over all groups, or within each
  double floor = 0.05;   // share of every group that stays whatever its rank; at least one unit
  int64_t round_to = 1;  // channels kept are a multiple of it in every group, none below the floor,
                         // in all as near to `sparsity` as that allows; a group that has none such
                         // stays whole
  // What earlier rounds reported (add_round). `sparsity` and `floor` are shares of the channels
  // before them.
  std::vector<PrunedGroup> rounds = {};
};

struct ChannelReport {
  std::vector<PrunedGroup> groups;
  std::vector<KeptChannels> whole;  // and why
};

// Removes channels by the criterion, which has seen its data already where it needs some; see
// remove_channels for what becomes of the graph. Batch norm statistics behind removed channels are
// stale until re-estimated or trained on. Throws Error{usage} for options out of range, for widths
// that do not fit (naming the groups), and where the floor forbids the sparsity or the MACs;
// Error{bad_input} where there is nothing to prune or a score is not finite.
ChannelReport prune_channels(Graph& graph, const ChannelCriterion& criterion,
                             const ChannelOptions& options = {});

// Takes a round's report into `rounds`: channels as before the first, kept as after the last.
void add_round(std::vector<PrunedGroup>& rounds, const ChannelReport& report);

// "conv1 20, conv2 50, fc1 500": the groups that widths refer to.
std::string list_groups(const ChannelAnalysis& analysis);

}  // namespace pare
