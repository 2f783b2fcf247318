// Op: what an operation is, and `apply`, the one way every op runs.
//
// An op is a rule for its outputs, a forward and a backward, and facets that passes ask for.
// Applying it checks shapes, takes outputs from the pool, runs the kernel of the device, and tells
// the recorder. Nothing else keeps state.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/coupling.h"
#include "autograd/run.h"
#include "core/attrs.h"
#include "core/backend.h"
#include "core/tensor.h"

namespace pare {

class Buffer;
struct Op;

constexpr int max_inputs = 16, max_outputs = 4, max_buffers = 4;
// No computed tensor has a longer axis, so that sums and small multiples of extents cannot
// overflow.
constexpr int64_t max_extent = int64_t(1) << 40;

// A forward call: inputs and attributes in, outputs to fill. `infer` describes the outputs (with
// `output`), and may ask for inputs in another format; `run` computes.
class Call {
 public:
  const Op* op = nullptr;
  std::span<Tensor> inputs;
  const Attrs* attrs = nullptr;
  std::span<Buffer* const> buffers;
  Mode mode = Mode::eval;
  uint64_t key = 0;  // of keyed ops, with run_key as in KernelArgs
  const uint64_t* run_key = nullptr;
  std::array<Tensor, max_outputs> outputs;
  int output_count = 0;

  const Tensor& x(int i = 0) const { return inputs[size_t(i)]; }
  // Declares the next output, of input 0's type, for a kernel that knows no formats. Where all
  // inputs have the output's shape, all take input 0's format and so does the output: one index
  // walks them all. Otherwise everything is plain. Inputs that `require` named stay as required.
  void output(const Shape& shape);
  // The same where infer knows better: whatever the formats of the inputs are by now.
  void output(const Shape& shape, DType dtype, Format format);
  // Declares the next output as sharing the bytes of `tensor` (views).
  void output(const Tensor& tensor);
  // Converts input i; what backward sees and returns for it is in that format too.
  void require(int i, Format format);
  // Says that the kernel will need so many bytes besides its outputs; only loading a file asks.
  void workspace(int64_t bytes) const;

 private:
  void add_output(Tensor tensor);
  uint32_t required_ = 0,
           following_ = 0;  // inputs `require` named; outputs declared by shape alone
};

// A backward call: what the op saved, the gradients of its outputs, and where gradients go.
class BackwardCall {
 public:
  const Op* op = nullptr;
  const Attrs* attrs = nullptr;
  std::span<const Tensor> inputs;  // undefined where not saved
  std::span<const Shape> input_shapes;
  std::span<const Tensor> outputs;  // undefined where not saved
  std::span<const Tensor> grad_outputs;
  std::span<Buffer* const> buffers;
  Mode mode = Mode::train;
  uint64_t key = 0;  // of keyed ops, with run_key as in KernelArgs
  const uint64_t* run_key = nullptr;
  Device device;
  // Per input: the destination (undefined when no gradient is wanted) and whether it holds a value.
  std::span<Tensor> grad_inputs;
  std::span<bool> accumulate;
  // Ops with passes_gradients hand over tensors here instead of writing destinations.
  std::span<Tensor> passed;

  bool wants(int i) const { return grad_inputs[size_t(i)].defined(); }
};

struct Count {
  int least, most;
  bool holds(size_t n) const { return n >= size_t(least) && n <= size_t(most); }
};
// An attribute that every node of an op has.
struct AttrRule {
  const char* name = nullptr;
  Attrs::Kind kind = Attrs::Kind::integer;
};

struct Op {
  const char* name = nullptr;
  int version = 1;
  // What infer, forward and backward may count on; `apply` and Graph::verify hold it.
  Count inputs{1, max_inputs}, buffers{0, max_buffers};
  std::array<AttrRule, Attrs::capacity> attributes{};  // held by Graph::verify
  uint32_t saves_inputs = 0;                           // bit i: backward reads input i
  uint32_t saves_outputs = 0;                          // bit i: backward reads output i
  // Checks inputs and attributes and declares the outputs.
  void (*infer)(Call&) = nullptr;
  // Null: the device's kernel "NAME.forward" / "NAME.backward".
  void (*forward)(Call&) = nullptr;
  void (*backward)(BackwardCall&) = nullptr;
  // These two, where given, reach elements through tensors and ops alone, and so run on every
  // device; else they are code of the CPU, and refused elsewhere.
  bool any_device = false;
  bool differentiable = true;
  // backward fills `passed` (tensors that may share bytes with grad_outputs) instead of writing
  // destinations: views, adds, and ops composed of others.
  bool passes_gradients = false;
  // forward is written in other ops: a tape records those instead of this one, so it needs no
  // backward; a capture and a file keep the one node. Its infer, if any, serves ShapesOnly alone.
  bool composite = false;
  bool keyed = false;  // draws random numbers: `key` is derived from seed, step and node name
  // Its kernels draw by KernelArgs::run_key too, so that a recorded step draws anew when replayed.
  bool replays_keyed = false;
  // Facets.
  // In evaluation an image's part of the outputs (axis 0 of several) follows from its part of the
  // inputs, unless an attribute 'axis' is 0; plans may then cut the batch. Elementwise ops and
  // producers do so without saying it.
  bool per_image = false;
  Coupling coupling = Coupling::unknown;   // how channels belong together, for structured pruning
  void (*couple)(ChannelTies&) = nullptr;  // a rule beyond the common kinds
  void (*resize)(const ChannelCut&, Attrs&) = nullptr;  // attributes that follow removed channels
  // The form of the op for a matrix (input 1) that is a parameter with a frozen mask, or null where
  // it does not pay; it takes the mask's pattern (core/sparse_pattern.h) behind the other inputs
  // and writes the gradient of kept weights alone. Tapes alone use it, so graphs never hold it.
  const Op* (*masked_form)(std::span<const Tensor> inputs) = nullptr;
  bool writes_kept_gradient = false;       // of input 1: what a masked form does
  int64_t (*macs)(const Call&) = nullptr;  // multiply-accumulates of one forward; null: none

  // Filled by register_op.
  int id = -1;
  const char* plugin = "";  // file name of the plug-in it came from; "": none
  const Kernel* forward_kernel = nullptr;
  const Kernel* backward_kernel = nullptr;
};

// An op that no file or graph may name: kernels as for a registered one.
const Op& internal_op(const Op& op);
// Whether the op's forward can run on `device`, and its gradients where it has some on the CPU.
bool runs_on(const Op& op, Device device);
bool differentiates_on(const Op& op, Device device);
// Makes an op known by name; the returned reference lives as long as the program. Registering an
// existing name with the same version is an error.
const Op& register_op(const Op& op);
const Op* find_op(std::string_view name);  // null when unknown
std::vector<const Op*> registered_ops();

// Runs an op. `inputs` may be replaced by format-converted copies. `node_name` is given by graph
// replay; empty otherwise (and then made up when the op is keyed or a capture records).
struct ApplyOptions {
  std::span<Buffer* const> buffers = {};
  Mode mode = Mode::eval;
  std::string_view node_name = {};
};
void apply(const Op& op, std::span<Tensor> inputs, const Attrs& attrs, std::span<Tensor> outputs,
           const ApplyOptions& options = {});
// One output.
Tensor apply(const Op& op, std::initializer_list<const Tensor*> inputs, const Attrs& attrs = {},
             const ApplyOptions& options = {});

// While one lives, ops of this thread check their inputs and declare their outputs but compute
// nothing: elements are undefined. Outputs and workspace may take `bytes` together; more throws
// Error{bad_input}.
class ShapesOnly {
 public:
  explicit ShapesOnly(int64_t bytes);
  ~ShapesOnly();
  ShapesOnly(const ShapesOnly&) = delete;
  ShapesOnly& operator=(const ShapesOnly&) = delete;
  int64_t left;  // bytes; who runs the ops gives back what outputs took when they die

 private:
  ShapesOnly* previous_;
};

// Runs an op's backward: its own function, or the device's kernel.
void run_backward(BackwardCall& call);

// Something that watches ops being applied: a tape or a capture. At most one is active per thread.
class Recorder {
 public:
  virtual ~Recorder() = default;
  // After `call` ran. `original` are the inputs before any format conversion.
  virtual void record(Call& call, std::span<const Tensor> original, std::string_view node_name) = 0;
  virtual bool needs_names() const { return false; }
  // Whether a composite op is kept as one node (captures) or as the ops it consists of (tapes).
  virtual bool keeps_composites() const { return true; }
  // The pattern of the frozen mask of a parameter with zeros enough for a masked form; else
  // nothing.
  virtual Tensor pattern_of(const Tensor&) const { return {}; }
};
Recorder* current_recorder();
void set_current_recorder(Recorder* recorder);
// Replaces the active recorder for a scope; null suspends recording.
class RecorderScope {
 public:
  explicit RecorderScope(Recorder* recorder);
  ~RecorderScope();
  RecorderScope(const RecorderScope&) = delete;
  RecorderScope& operator=(const RecorderScope&) = delete;

 private:
  Recorder* previous_;
};

}  // namespace pare
