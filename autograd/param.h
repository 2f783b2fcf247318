// Param and Buffer: the named state of a network.
//
// Both are handles: copying one shares the state, which is how weights are tied. A parameter
// carries everything that belongs to it: gradient, the optimizer's slots, a mask, and transforms;
// so one walk over the parameters serves saving, cloning, slicing and masking.
//
// What a masked parameter holds is what its mask keeps, in every forward pass, clone, file, plan
// and count, whatever was written beside it: value(), copies of that tensor and pointers into it
// are open to writing, and nobody asks the mask then. So every reading first puts the zeros of a
// frozen mask back where something else stands, and leaves out what lies behind a soft one. One
// reading is spared that look: a training's forward pass straight after a step of an optimizer of
// this library, which leaves zeros, if nobody has asked for the state or shares the tensor since.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace pare {

class Module;
class Visitor;

// A function of a parameter's value applied once per run, through recorded ops (fake-quantization,
// a soft mask). Its own learnable parameters appear in visit().
class Transform {
 public:
  virtual ~Transform() = default;
  virtual Tensor operator()(const Tensor& value) = 0;
  virtual const char* kind() const = 0;  // stable name, for files
  virtual void visit(Visitor&) {}
  virtual std::shared_ptr<Transform> clone() const = 0;
};

// frozen: masked elements are zero: value, gradient and optimizer slots are masked.
// soft: value and gradient are masked where they are used; what lies behind the mask stays, and
// comes back when the mask is lifted or moved.
enum class MaskKind : uint8_t { none, frozen, soft };

struct ParamState {
  Tensor value;
  Tensor grad;
  bool has_grad = false;  // grad holds this step's gradient
  bool decay = true;      // takes weight decay (norm scales, biases and learned scales do not)
  Tensor mask;            // u8, shape of value, 1 keeps; undefined without one
  MaskKind mask_kind = MaskKind::none;
  Tensor pattern, pattern_mask;     // see Param::pattern; the mask it was made of
  const void* kept_grad = nullptr;  // the bytes of `grad` if it is zero where the mask drops
  std::vector<std::pair<std::string, Tensor>> slots;  // optimizer state by name
  int64_t steps = 0;                                  // optimizer steps taken; saved with the slots
  std::vector<std::shared_ptr<Transform>> transforms;
  uint64_t run = 0;  // the recorder run `in_run` belongs to
  Tensor in_run;
  std::atomic<bool> exposed = true;  // somebody may have written since the last step
  bool stepped = false;              // no forward pass has followed the last step
};

class Param {
 public:
  Param() : state_(std::make_shared<ParamState>()) {}
  explicit Param(Tensor value, bool decay = true) : Param() {
    state_->value = std::move(value);
    state_->decay = decay;
  }

  // The value as the network uses it: after transforms, known to the running recorder.
  Tensor operator()() const;

  // The tensor itself, open to writing, which a mask does not see; to read what the network has,
  // take masked_value().
  const Tensor& value() const { return state().value; }
  void set_value(const Tensor& value) { state().value = value; }
  // The value as its mask leaves it, before transforms: the same bytes unless the mask is soft.
  Tensor masked_value() const;
  const Tensor& grad() const { return state_->grad; }
  bool has_grad() const { return state_->has_grad; }
  void clear_grad() { state_->has_grad = false; }
  bool defined() const { return state_->value.defined(); }

  // Zeroes what the mask drops, in value, gradient and slots (frozen). u8, shape of value.
  void set_mask(const Tensor& mask, MaskKind kind = MaskKind::frozen);
  void apply_mask();  // value, gradient and slots again, after someone wrote them
  // Puts the zeros of a frozen mask back into the value where something else stands, as every
  // reading does. Writes nothing on the CPU where all is right, waits for no device. `in_training`:
  // trusts a step of an optimizer, once.
  void uphold_mask(bool in_training = false) const;
  // For optimizers, before a step after which the value is zero where a frozen mask drops.
  void will_step() const;
  // Where a frozen mask of a matrix keeps weights (core/sparse_pattern.h), for sparse training
  // steps; undefined where there are too few zeros for them to pay: below 80 %, or a small matrix.
  Tensor pattern() const;
  // The same, if this step's gradient was written through it; else undefined.
  Tensor pattern_of_grad() const;
  // The optimizer slot under `name`, made of zeros in the value's shape when new.
  Tensor& slot(const std::string& name);

  ParamState& state() const {
    state_->exposed.store(true, std::memory_order_relaxed);
    return *state_;
  }
  // The same for those who keep the zeros of a frozen mask.
  ParamState& inner() const { return *state_; }
  bool same_as(const Param& other) const { return state_ == other.state_; }
  // Own copy of value, mask, slots and transforms; not of the gradient.
  Param clone() const;

 private:
  std::shared_ptr<ParamState> state_;
};

// Running statistics, observer ranges: saved, cloned and moved, never differentiated.
class Buffer {
 public:
  Buffer() : value_(std::make_shared<Tensor>()) {}
  explicit Buffer(Tensor value) : value_(std::make_shared<Tensor>(std::move(value))) {}
  const Tensor& value() const { return *value_; }
  void set_value(const Tensor& value) { *value_ = value; }
  bool defined() const { return value_->defined(); }
  bool same_as(const Buffer& other) const { return value_ == other.value_; }
  Buffer clone() const { return Buffer(value_->defined() ? value_->clone() : Tensor()); }

 private:
  std::shared_ptr<Tensor> value_;
};

}  // namespace pare
