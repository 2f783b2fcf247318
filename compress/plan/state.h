// What a plan consists of, and how it is built. A value lives where its Place says: in the arena,
// in the caller's input or output, or in a tensor of the plan.
#pragma once

#include <mutex>
#include <vector>

#include "compress/plan/plan.h"
#include "compress/plan/step.h"

namespace pare {

struct Plan::State {
  enum class Kind : uint8_t { unused, input, output, arena, constant, alias };
  struct Place {
    Kind kind = Kind::unused;
    int alias = -1;      // the value whose bytes these are
    int64_t bytes = 0;   // of one image
    int64_t offset = 0;  // in the arena, for one image; times the images of a frame
    Tensor constant;
  };
  // Working memory of one frame; the free list keeps them between runs.
  struct Workspace {
    Tensor arena;
    std::vector<std::byte*> at;
  };

  Ints input_shape, output_shape;
  DType input_dtype = DType::f32, output_dtype = DType::f32;
  int input = -1, output = -1;
  std::vector<Place> places;  // by value
  std::vector<plan::StepPtr> steps;
  std::vector<std::string> fallbacks;
  int64_t arena_bytes = 0;                         // of one image
  bool splits = true;                              // no step looks across images
  bool sparse_dense = false, sparse_conv = false;  // a layer of the kind took a sparse form
  std::string account;     // what measuring the plan as a whole said; "": it was not
  bool overruled = false;  // layers run dense that chose a sparse form

  std::mutex mutex;
  std::vector<std::unique_ptr<Workspace>> spare;

  void prepare(Workspace& workspace, int64_t images) const;
  void reserve(int64_t count, int64_t images);  // so many workspaces lie ready
  std::unique_ptr<Workspace> take(int64_t images);
  void give(std::unique_ptr<Workspace> workspace);
  void run(const Tensor& images, Tensor& out);  // Plan::run
  void run_images(const std::byte* x, std::byte* y, int64_t images, bool cut_steps);
  // Lays the arena out: values that are alive together do not overlap.
  void place_values();
};

namespace plan {
// Runs a node as the graph's own op on plain tensors, copying in and out; inputs `known` at compile
// time are those tensors.
// Output `output` of it.
StepPtr graph_step(const Graph& graph, const GraphNode& node, size_t output,
                   std::vector<Tensor> known);
}  // namespace plan

}  // namespace pare
