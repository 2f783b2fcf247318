// A step of a plan: one kernel with its packed weights, reading and writing values by number.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace pare::plan {

// What a step sees: `images` images, and where each value of the graph begins.
struct Frame {
  int64_t images = 0;
  std::byte* const* at = nullptr;
  template <class T = float>
  T* of(int value) const {
    return reinterpret_cast<T*>(at[value]);
  }
};

// What came of a layer's zeros: a sparse kernel runs, none was quicker than dense, or one was, but
// for the conversions of layout around it.
enum class ZerosUse : uint8_t { untried, dense_won, conversions_cost, sparse };

class Step {
 public:
  virtual ~Step() = default;
  // Does part `part` of `parts` of the work; parts write disjoint elements.
  virtual void run(const Frame& frame, int64_t part, int64_t parts) const = 0;
  // Most parts worth cutting the work on `images` images into.
  virtual int64_t parts(int64_t) const { return 1; }
  virtual int64_t packed_bytes() const { return 0; }
  // Which of its kernels runs on so many images.
  virtual const std::string& form_for(int64_t) const { return kernel; }

  std::string name, kernel;  // of the node; of what runs
  ZerosUse zeros = ZerosUse::untried;
  std::vector<int> inputs;
  int output = -1;
};
using StepPtr = std::unique_ptr<Step>;
// One part for each `worth` multiply-adds, for a part must outweigh moving its values from one
// core's cache to another's; at most `most`, and one a thread.
int64_t parts_for(int64_t macs, int64_t most, int64_t worth);

// How a 4-axis value lies between steps.
enum class Layout : uint8_t { plain, nhwc };

struct DenseSpec {
  Tensor weight, bias;  // f32 [out,in], [out]
  bool relu = false;
  int residual = -1;  // value added before the ReLU
};
StepPtr dense_step(const DenseSpec& spec);

struct ConvSpec {
  Tensor weight, bias;  // f32 OIHW, [o]
  Shape x, y;           // at one image
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  bool relu = false;
  int residual = -1;
  bool winograd = true;  // where it pays
};
StepPtr conv_step(const ConvSpec& spec);
bool winograd_pays(const ConvSpec& spec);
StepPtr winograd_step(const ConvSpec& spec);

enum class Pool : uint8_t { max, average, global_average };
StepPtr pool_step(Pool kind, const Shape& x, const Shape& y, int64_t kernel, int64_t stride);
StepPtr plain_pool_step(Pool kind, const Shape& x, const Shape& y, int64_t kernel, int64_t stride);
StepPtr add_step(int64_t elements, bool relu);
StepPtr relu_step(int64_t elements);
// Spatial stride, then zero channels behind: the parameter-free shortcut of residual networks.
StepPtr shortcut_step(const Shape& x, const Shape& y, int64_t stride);
StepPtr plain_shortcut_step(const Shape& x, const Shape& y, int64_t stride);
StepPtr convert_step(const Shape& shape, Layout from);  // plain <-> nhwc
StepPtr copy_step(int64_t bytes);

}  // namespace pare::plan
