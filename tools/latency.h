// Measured latency of a network: what bench prints and prune and quantize compare.
#pragma once

#include <utility>
#include <vector>

#include "compress/plan/plan.h"

namespace pare::tool {

struct Latency {
  int64_t batch = 1;
  double p50_ms = 0, p95_ms = 0, images_per_s = 0;
};

// Images of noise in the graph's input shape.
Tensor random_images(const Graph& graph, int64_t batch);

// How long measurements last, in parts of what they last by default: PARE_MEASURE, 1 where it is
// not set. Throws Error{usage} where it is not a number above 0, at most 100.
double measuring_scale();

// Runs the plan on the images, again and again for about `seconds` times the scale.
Latency measure_latency(const Plan& plan, const Tensor& images, double seconds = 0.5);

// Before and after, on batches of one size, in about `seconds` times the scale.
struct LatencyPair {
  Latency before, after;
  bool disturbed = false;  // other programs took too much of the machine to be sure of the ratio
  double speed() const { return before.p50_ms / after.p50_ms; }
};
LatencyPair compare_latency(const Plan& before, const Plan& after, const Tensor& images,
                            double seconds = 1.0);
// "; ..." where a measurement was disturbed, else "".
const char* disturbance(bool disturbed);

// A step of the plan `after`, and the step of the same node before: medians of runs in turn, step
// by step on one thread, in the quietest part of about `seconds` times the scale.
struct LayerTime {
  std::string node, kernel;
  std::string form_before, form;       // of the kernels, for so many images
  double before_us = 0, after_us = 0;  // before: 0 where there was no such step
  bool disturbed = false;  // other programs took too much of the machine to be sure of the ratio
};
std::vector<LayerTime> compare_layers(const Plan& before, const Plan& after, const Tensor& images,
                                      double seconds = 0.3);

}  // namespace pare::tool
