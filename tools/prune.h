// What the files of `pare prune` share: the options, and a run from the file that is read to the
// report. prune.cpp reads the options, prune_when.cpp orders the rounds, prune_eliminate.cpp
// removes weights, prune_report.cpp measures and prints.
#pragma once

#include <string>
#include <vector>

#include "compress/prune/criterion.h"
#include "optim/evaluate.h"
#include "tools/training.h"

namespace pare::tool {

struct PruneFlags {
  std::string file, method = "magnitude", structure = "unstructured", scope = "global",
                    when = "one-shot";
  double sparsity = 0.9;
  int rounds = 3;
};

struct PruneRun {
  CommonOptions common;
  TrainingFlags training;
  PruneFlags flags;

  Graph graph, original;  // being pruned; as it was
  Dataset data;
  std::string out;
  std::unique_ptr<Criterion> criterion;
  std::vector<Batch> sample;              // what the criterion looks at, where it needs data
  Evaluation before, pruned, after = {};  // on the test part; pruned: before the last fine-tuning
};

// Throws Error{usage} for options that are out of range or do not go together; reads no file.
void check_prune_flags(const PruneFlags& flags);
// Removes weights until `sparsity` of them are gone, and says what is left.
void eliminate(PruneRun& run, double sparsity);
// All rounds of eliminating and training that --when asks for. Leaves `graph` finished.
void prune_and_train(PruneRun& run);
// Prints accuracy, size and speed before and after. `out` is written.
void report(PruneRun& run);

}  // namespace pare::tool
