// Compiled inference: a graph turned into a list of kernels over one arena.
//
// compile() folds batch norms, fuses activations and residual adds, folds what depends on
// constants alone, packs every weight once and places every value in an arena by its lifetime.
// run() is re-entrant and allocates nothing once each arena it needs exists. Every output element
// is summed in one fixed order, so its bits depend neither on threads nor on how images are split
// into batches (the graph's own ops, where a plan falls back to them, keep their own rules).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/graph.h"

namespace pare {

namespace plan {
struct Timing;
}

struct PlanOptions {
  // Dense layers and convolutions with many zeros may take a sparse kernel, where a measurement at
  // compile time says that it is faster, for the layer and for the plan as a whole. Off: every
  // layer runs dense, the yardstick for ratios.
  bool sparse = true;
  // 3x3 convolutions of stride 1 take Winograd's form where it costs less, by a count of operations
  // from shape and instruction set. Its rounding errors are within a few times those of the direct
  // form. Off: every convolution runs direct, the fixed yardstick for ratios.
  bool winograd = true;
  // What "faster" goes by, while the plan is compiled (compress/plan/timing.h). Null: the clock.
  const plan::Timing* timing = nullptr;
};

constexpr int percent_zeros_for_sparse = 30;  // from which sparse kernels are tried
// Ratios of two times below this are noise, on a machine that others use too.
constexpr double noticeable_ratio = 1.05;

// What came of the zeros in weights, by nodes. Nodes in no list have too few for a sparse
// kernel to be tried, or an op that has none.
struct SparseLayers {
  std::vector<std::string> sparse;     // run a sparse kernel, on some batches at least
  std::vector<std::string> dense_won;  // run dense: measured, no sparse kernel was quicker
  // Run dense: one was, but not with the conversions of layout around it.
  std::vector<std::string> conversions_cost;
  bool overruled = false;  // nodes that chose a sparse kernel run dense, in no list: the plan
                           // as a whole is quicker so
};

// A step of a plan: its node and kernel as describe() has them, what ran of a kernel that depends
// on the number of images, else the kernel itself, and how long it took.
struct StepTime {
  std::string node, kernel, form;
  double micros = 0;
};

class Plan {
 public:
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;
  ~Plan();

  // The first output for a batch of images, x f32 in the graph's input shape, on the CPU. `out` is
  // written in place where it has the output's shape and nobody shares it, else replaced.
  void run(const Tensor& x, Tensor& out) const;
  Tensor operator()(const Tensor& x) const;

  // One line per kernel: node, kernel. Last, where a layer could run sparse, the whole plan against
  // the dense one.
  std::string describe() const;
  SparseLayers sparse_layers() const;
  // The steps in their order, each with the microseconds it takes for the images `x`: in the frames
  // of run(), on one thread, once.
  std::vector<StepTime> profile(const Tensor& x) const;
  int64_t arena_bytes() const;  // of one image
  int64_t packed_bytes() const;
  // Nodes that run as the graph's own op, for want of a kernel.
  std::vector<std::string> fallbacks() const;

  struct State;  // compress/plan/state.h

 private:
  friend Plan compile(const Graph& graph, const PlanOptions& options);
  explicit Plan(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The graph is copied: later changes of its parameters do not reach the plan. Kernels are those of
// the instruction set in use now. Throws Error{bad_input} for a graph that cannot run.
Plan compile(const Graph& graph, const PlanOptions& options = {});

}  // namespace pare
