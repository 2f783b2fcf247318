#include "autograd/op.h"

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

constexpr int max_args = 16;

void run_forward_kernel(Call& call) {
  check(call.inputs.size() <= max_args, "{}: {} inputs, at most {} reach a kernel", call.op->name,
        call.inputs.size(), max_args);
  std::array<TensorArg, max_args> in, buf;
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
  (*call.op->forward_kernel)(call.x().device(), args);
}

}  // namespace

const Op& register_op(const Op& op) {
  OpRegistry& r = op_registry();
  const std::lock_guard lock(r.mutex);
  check(op.name && (op.infer || op.composite), "register_op: an op needs a name and an infer rule");
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

void Call::output(const Shape& shape, DType dtype, Format format) {
  outputs[size_t(output_count++)] = Tensor::empty(shape, dtype, format, x().device());
}
void Call::output(const Tensor& tensor) { outputs[size_t(output_count++)] = tensor; }
void Call::require(int i, Format format) { inputs[size_t(i)] = x(i).in_format(format); }

void run_backward(BackwardCall& call) {
  if (call.op->backward) return call.op->backward(call);
  std::array<TensorArg, max_args> in, grad_in, buf;
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
  check(inputs.size() <= max_args, "{}: {} inputs, at most {}", op.name, inputs.size(), max_args);
  Recorder* recorder = active_recorder;
  Call call;
  call.op = &op;
  call.attrs = &attrs;
  call.buffers = options.buffers;
  call.mode = options.mode;
  std::array<Tensor, max_args> original;
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
    check(!DeviceGraph::recording(), ErrorCode::device,
          "{} draws new numbers at every run, which recorded work cannot", op.name);
    const RunKey key = run_key();
    call.key = mix_keys(mix_keys(key.seed, key.step), hash_name(name));
  }
  if (op.infer) op.infer(call);
  const bool open = op.composite && recorder && !recorder->keeps_composites();
  if (op.composite) {
    const RecorderScope scope(open ? recorder : nullptr);
    op.forward(call);
  } else if (op.forward) {
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
  std::array<Tensor, max_args> in;
  size_t n = 0;
  for (const Tensor* t : inputs) in[n++] = *t;
  std::array<Tensor, max_outputs> out;
  apply(op, {in.data(), n}, attrs, out, options);
  return std::move(out[0]);
}

}  // namespace pare
