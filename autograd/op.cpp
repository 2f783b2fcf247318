#include "autograd/op.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>

#include "autograd/ops/builtin.h"
#include "autograd/param.h"
#include "autograd/plugin.h"
#include "core/device_graph.h"
#include "core/random.h"
#include "core/tensor_arg.h"

namespace pare {
namespace {

struct OpRegistry {
  std::mutex mutex;
  std::deque<Op> ops;
  std::map<std::string, const Op*, std::less<>> by_name;
};
OpRegistry& op_registry() {
  static auto* r = new OpRegistry;
  return *r;
}

thread_local Recorder* active_recorder = nullptr;
thread_local ShapesOnly* shapes_only = nullptr;

void run_forward_kernel(Call& call) {
  std::array<TensorArg, max_inputs> in, buf;
  std::array<TensorArg, max_outputs> out;
  KernelArgs args;
  for (size_t i = 0; i < call.inputs.size(); ++i) in[i] = tensor_arg(call.inputs[i]);
  for (int i = 0; i < call.output_count; ++i) out[size_t(i)] = tensor_arg(call.outputs[size_t(i)]);
  for (size_t i = 0; i < call.buffers.size(); ++i) buf[i] = tensor_arg(call.buffers[i]->value());
  args.inputs = in.data();
  args.input_count = int(call.inputs.size());
  args.outputs = out.data();
  args.output_count = call.output_count;
  args.buffers = buf.data();
  args.buffer_count = int(call.buffers.size());
  args.attrs = call.attrs;
  args.training = call.mode == Mode::train;
  args.key = call.key;
  args.run_key = call.run_key;
  (*call.op->forward_kernel)(call.x().device(), args);
}

}  // namespace

const Op& internal_op(const Op& op) {
  auto* kept = new Op(op);
  kept->forward_kernel = new Kernel(std::string(op.name) + ".forward");
  kept->backward_kernel = new Kernel(std::string(op.name) + ".backward");
  return *kept;
}

bool runs_on(const Op& op, Device device) {
  if (op.composite) return true;
  if (op.forward) return op.any_device || device == Device{};
  return op.forward_kernel->on(device);
}

bool differentiates_on(const Op& op, Device device) {
  if (!op.differentiable || op.composite) return true;
  if (op.backward) return op.any_device || device == Device{};
  return op.backward_kernel->on(device) || !op.backward_kernel->on(Device{});
}

const Op& register_op(const Op& op) {
  OpRegistry& r = op_registry();
  const std::lock_guard lock(r.mutex);
  check(op.name && (op.infer || op.composite), "register_op: an op needs a name and an infer rule");
  check(
      op.inputs.least >= 1 && op.inputs.most <= max_inputs && op.buffers.least >= 0 &&
          op.buffers.most <= max_buffers,
      "register_op: '{}' takes {} to {} inputs and {} to {} buffers; at most {} and {}, one input "
      "at least",
      op.name, op.inputs.least, op.inputs.most, op.buffers.least, op.buffers.most, max_inputs,
      max_buffers);
  check(!r.by_name.contains(op.name), "register_op: '{}' is registered already", op.name);
  r.ops.push_back(op);
  Op& kept = r.ops.back();
  kept.name = intern(op.name);
  kept.id = int(r.ops.size()) - 1;
  kept.plugin = registering_plugin();
  kept.forward_kernel = new Kernel(std::string(op.name) + ".forward");
  kept.backward_kernel = new Kernel(std::string(op.name) + ".backward");
  r.by_name.emplace(op.name, &kept);
  return kept;
}

const Op* find_op(std::string_view name) {
  register_library_ops();
  OpRegistry& r = op_registry();
  const std::lock_guard lock(r.mutex);
  const auto it = r.by_name.find(name);
  return it == r.by_name.end() ? nullptr : it->second;
}

std::vector<const Op*> registered_ops() {
  register_library_ops();
  OpRegistry& r = op_registry();
  const std::lock_guard lock(r.mutex);
  std::vector<const Op*> all;
  for (const Op& op : r.ops) all.push_back(&op);
  return all;
}

void Call::add_output(Tensor tensor) {
  check(output_count < max_outputs, "{}: more than {} outputs", op->name, max_outputs);
  for (const int64_t extent : tensor.shape())
    check(extent <= max_extent, "{}: output {} has an axis longer than {}", op->name,
          tensor.shape(), max_extent);
  outputs[size_t(output_count++)] = std::move(tensor);
}

void Call::output(const Shape& shape) {
  const bool alike = std::all_of(inputs.begin(), inputs.end(),
                                 [&](const Tensor& t) { return t.shape() == shape; });
  for (int i = 0; i < int(inputs.size()); ++i)
    if (!(required_ >> i & 1))
      inputs[size_t(i)] = x(i).in_format(alike ? x().format() : Format::plain);
  if (!alike)  // outputs of the inputs' shape, declared before, follow them
    for (int i = 0; i < output_count; ++i)
      if (Tensor& t = outputs[size_t(i)];
          following_ >> i & 1 && t.format() != Format::plain && !(required_ & 1))
        t = Tensor::empty(t.shape(), t.dtype(), Format::plain, t.device());
  following_ |= 1u << output_count;
  output(shape, x().dtype(), x().shape() == shape ? x().format() : Format::plain);
}
void Call::output(const Shape& shape, DType dtype, Format format) {
  if (shapes_only) {
    int64_t bytes = 0;
    check(!__builtin_mul_overflow(shape.elements(), int64_t(size_of(dtype)), &bytes) &&
              bytes <= shapes_only->left,
          ErrorCode::bad_input, "{}: its output {} is too large for a model of this size", op->name,
          shape);
    shapes_only->left -= bytes;
  }
  add_output(Tensor::empty(shape, dtype, format, x().device()));
}
void Call::output(const Tensor& tensor) { add_output(tensor); }
void Call::require(int i, Format format) {
  required_ |= 1u << i;
  inputs[size_t(i)] = x(i).in_format(format);
}
void Call::workspace(int64_t bytes) const {
  check(!shapes_only || bytes <= shapes_only->left, ErrorCode::bad_input,
        "{}: {} bytes of workspace are too many for a model of this size", op->name, bytes);
}

ShapesOnly::ShapesOnly(int64_t bytes) : left(bytes), previous_(shapes_only) { shapes_only = this; }
ShapesOnly::~ShapesOnly() { shapes_only = previous_; }

void run_backward(BackwardCall& call) {
  if (call.op->backward) {
    check(differentiates_on(*call.op, call.device), ErrorCode::device,
          "{}: its backward runs on the CPU alone, not on {}; use --device cpu", call.op->name,
          call.device);
    return call.op->backward(call);
  }
  std::array<TensorArg, max_inputs> in, grad_in, buf;
  std::array<TensorArg, max_outputs> out, grad_out;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    in[i] = tensor_arg(call.inputs[i]);
    grad_in[i] = tensor_arg(call.grad_inputs[i]);
  }
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    out[i] = tensor_arg(call.outputs[i]);
    grad_out[i] = tensor_arg(call.grad_outputs[i]);
  }
  for (size_t i = 0; i < call.buffers.size(); ++i) buf[i] = tensor_arg(call.buffers[i]->value());
  KernelArgs args;
  args.inputs = in.data();
  args.outputs = out.data();
  args.grad_outputs = grad_out.data();
  args.grad_inputs = grad_in.data();
  args.accumulate = call.accumulate.data();
  args.buffers = buf.data();
  args.input_count = int(call.inputs.size());
  args.output_count = int(call.outputs.size());
  args.buffer_count = int(call.buffers.size());
  args.attrs = call.attrs;
  args.training = call.mode == Mode::train;
  args.key = call.key;
  args.run_key = call.run_key;
  (*call.op->backward_kernel)(call.device, args);
}

Recorder* current_recorder() { return active_recorder; }
void set_current_recorder(Recorder* recorder) { active_recorder = recorder; }
RecorderScope::RecorderScope(Recorder* recorder) : previous_(active_recorder) {
  active_recorder = recorder;
}
RecorderScope::~RecorderScope() { active_recorder = previous_; }

void apply(const Op& op, std::span<Tensor> inputs, const Attrs& attrs, std::span<Tensor> outputs,
           const ApplyOptions& options) {
  check(op.inputs.holds(inputs.size()), "{}: {} inputs, expected {} to {}", op.name, inputs.size(),
        op.inputs.least, op.inputs.most);
  check(op.buffers.holds(options.buffers.size()), "{}: {} buffers, expected {} to {}", op.name,
        options.buffers.size(), op.buffers.least, op.buffers.most);
  Recorder* recorder = active_recorder;
  if (recorder && op.masked_form)
    if (const Tensor pattern = recorder->pattern_of(inputs[1]); pattern.defined())
      if (const Op* form = op.masked_form(inputs)) {
        std::array<Tensor, max_inputs> with;
        std::copy(inputs.begin(), inputs.end(), with.begin());
        with[inputs.size()] = pattern;
        return apply(*form, {with.data(), inputs.size() + 1}, attrs, outputs, options);
      }
  Call call;
  call.op = &op;
  call.attrs = &attrs;
  call.buffers = options.buffers;
  call.mode = options.mode;
  std::array<Tensor, max_inputs> original;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check(inputs[i].defined(), "{}: input {} is empty", op.name, i);
    check(inputs[i].device() == inputs[0].device(), "{}: input {} is on {}, input 0 on {}", op.name,
          i, inputs[i].device(), inputs[0].device());
    original[i] = inputs[i];
  }
  call.inputs = inputs;
  std::string made_up;
  std::string_view name = options.node_name;
  if (name.empty() && (op.keyed || (recorder && recorder->needs_names()))) {
    made_up = next_node_name(op.name);
    name = made_up;
  }
  if (op.keyed) {
    const RunKey key = run_key();
    call.key = mix_keys(mix_keys(key.seed, key.step), hash_name(name));
    if (DeviceGraph::recording()) {
      call.key = hash_name(name);
      call.run_key = op.replays_keyed ? recorded_run_key() : nullptr;
      check(call.run_key, ErrorCode::device,
            "{} draws new numbers at every run, which this recorded work cannot", op.name);
    }
  }
  const bool runs_parts = op.composite && !(shapes_only && op.infer);
  if (op.infer && !runs_parts) op.infer(call);
  const bool open = op.composite && recorder && !recorder->keeps_composites();
  if (runs_parts) {
    const RecorderScope scope(open ? recorder : nullptr);
    op.forward(call);
  } else if (shapes_only) {
    // infer has said all there is to know.
  } else if (op.forward) {
    check(runs_on(op, call.x().device()), ErrorCode::device,
          "{}: its forward runs on the CPU alone, not on {}; use --device cpu", op.name,
          call.x().device());
    op.forward(call);
  } else {
    run_forward_kernel(call);
  }
  check(size_t(call.output_count) <= outputs.size(), "{}: {} outputs, {} wanted", op.name,
        call.output_count, outputs.size());
  if (open) recorder = nullptr;  // its parts are recorded
  for (int i = 0; i < call.output_count && !open; ++i) call.outputs[size_t(i)].set_ref({});
  if (recorder) recorder->record(call, {original.data(), inputs.size()}, name);
  for (int i = 0; i < call.output_count; ++i)
    outputs[size_t(i)] = std::move(call.outputs[size_t(i)]);
}

Tensor apply(const Op& op, std::initializer_list<const Tensor*> inputs, const Attrs& attrs,
             const ApplyOptions& options) {
  std::array<Tensor, max_inputs> in;
  check(inputs.size() <= in.size(), "{}: {} inputs, at most {}", op.name, inputs.size(), in.size());
  size_t n = 0;
  for (const Tensor* t : inputs) in[n++] = *t;
  std::array<Tensor, max_outputs> out;
  apply(op, {in.data(), n}, attrs, out, options);
  return std::move(out[0]);
}

}  // namespace pare
