// `pare prune --structure channel` and `block`: pruning that makes the network itself smaller.
// The rounds, trainings and the report are those of all pruning; here is what differs.
#pragma once

#include "tools/compress_report.h"
#include "tools/prune.h"

namespace pare::tool {

void add_channel_flags(CLI::App& command, ChannelFlags& flags);

inline bool is_structured(const std::string& structure) {
  return structure == "channel" || structure == "block";
}
// Throws Error{usage} where flags are given that the structure has no use for, or that do not go
// with channels and blocks.
void check_channel_flags(const PruneRequest& request);

// Removes channels or blocks until `sparsity` of those of the original network are gone, and notes
// it in `run.groups` or `run.removed`.
void eliminate_structured(PruneRun& run, double sparsity);

// What the report says beyond accuracy, MACs, bytes and latency.
void add_structured_facts(PruneRun& run, Json& json, std::vector<BeforeAfter>& rows);

}  // namespace pare::tool
