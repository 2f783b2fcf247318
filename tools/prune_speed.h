// What pruning did to the speed: measured as a whole and layer by layer, told in sentences and as
// JSON. A layer that did not get faster is named, with the reason where one can be given.
#pragma once

#include <string>
#include <vector>

#include "autograd/graph_summary.h"
#include "tools/command.h"
#include "tools/latency.h"

namespace pare::tool {

struct LayerSpeed {
  std::string node, kernel;
  int64_t weights = 0, nonzero = 0;  // of its prunable weight
  std::string why_dense;             // it holds zeros and runs dense; "": it does not
  struct AtBatch {
    double before_us = 0, after_us = 0;
    bool disturbed = false;
    std::string why;  // it need not be faster; "": it should
    bool faster() const { return after_us * noticeable_ratio <= before_us; }
  };
  std::vector<AtBatch> at;  // one a batch
};
struct SpeedTrial {
  std::vector<LatencyPair> latency;  // on one image, and on 64
  std::vector<LayerSpeed> layers;    // steps of the plan after, in its order
  double fewer_macs = 1;             // effective ones
  std::string plan;                  // its own account
};

// Compiles both and measures them in turn. The summaries are theirs.
SpeedTrial measure_speed(const Graph& before, const GraphSummary& summary_before,
                         const Graph& after, const GraphSummary& summary_after);

// Begins with a line break. Ends with the plan's own account of its kernels.
std::string speed_report(const SpeedTrial& trial);
Json layers_json(const SpeedTrial& trial);

}  // namespace pare::tool
