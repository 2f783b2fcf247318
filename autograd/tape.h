// Tape: records the ops that touch a parameter or a watched tensor, and walks them backwards.
//
// A node keeps only what its op's backward reads; values die with their last use. Each gradient is
// written where it will be read: a parameter's straight into its own slot, adding when the slot
// already holds one. While a tape lives it is the thread's recorder.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "autograd/op.h"
#include "autograd/param.h"

namespace pare {

// A recorder that knows parameters: the tape, or a capture.
class ParamBook {
 public:
  virtual ~ParamBook() = default;
  uint64_t run() const { return run_; }
  // The parameter's raw value, known to this recorder.
  virtual Tensor bind(const Param& param) = 0;
  virtual bool folds_transforms() const { return false; }

 protected:
  ParamBook();  // takes the next run number

 private:
  uint64_t run_;
};

class Tape : public Recorder, public ParamBook {
 public:
  Tape();
  ~Tape() override;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Makes `x` a leaf whose gradient is kept: returns the tensor to use.
  Tensor watch(const Tensor& x);
  // Gradient of a watched tensor after backward; undefined when it has none.
  Tensor grad(const Tensor& watched) const;

  // Gradients of `loss` (one element) into every parameter used; a second call needs a new tape.
  void backward(const Tensor& loss);
  // The same with the gradient of `output` given.
  void backward(const Tensor& output, const Tensor& grad_output);

  size_t node_count() const;

  void record(Call& call, std::span<const Tensor> original, std::string_view name) override;
  Tensor bind(const Param& param) override;
  bool keeps_composites() const override { return false; }
  Tensor pattern_of(const Tensor& t) const override;

 private:
  struct Work;
  std::unique_ptr<Work>
      work_;  // recycled between tapes of a thread, so that steps allocate nothing
  Recorder* previous_;
};

// x where mask is not 0, else 0 (what a soft mask does to its parameter).
Tensor masked(const Tensor& x, const Tensor& mask);
bool current_recorder_active();

}  // namespace pare
