// `pare prune --structure channel` and `block`: pruning that makes the network itself smaller.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/training.h"

namespace pare::tool {

struct StructuredFlags {
  std::optional<double> macs, floor;
  std::vector<int64_t> widths;
  int64_t round_to = 1;
};
void add_structured(CLI::App& command, StructuredFlags& flags);

inline bool is_structured(const std::string& structure) {
  return structure == "channel" || structure == "block";
}
// Throws Error{usage} where flags are given that the structure has no use for.
void check_structured(const StructuredFlags& flags, const std::string& structure);

struct StructuredPruning {
  CommonOptions common;
  TrainingFlags training;
  StructuredFlags flags;
  std::string file, method, structure, scope, when;
  std::optional<double> sparsity;  // default: half the channels
  int rounds = 1;
};
// Reads the file, removes, fine-tunes, saves and reports.
void prune_structured(const StructuredPruning& options);

}  // namespace pare::tool
