#include "autograd/tape.h"

#include <atomic>
#include <optional>

#include "core/tensor_arg.h"

namespace pare {
namespace {

std::atomic<uint64_t> next_run{1};

}  // namespace

ParamBook::ParamBook() : run_(next_run.fetch_add(1)) {}

bool current_recorder_active() { return current_recorder() != nullptr; }

// One recorded op. Input ids are -1 where no gradient is wanted.
struct TapeNode {
  const Op* op = nullptr;
  Attrs attrs;
  std::array<int32_t, max_inputs> input_ids{};
  std::array<Tensor, max_inputs> inputs;  // saved ones only, as the kernel saw them
  std::array<Format, max_inputs> seen_formats{};
  std::array<Shape, max_inputs> input_shapes;
  std::array<Tensor, max_outputs> outputs;                 // saved ones only
  std::array<std::optional<Buffer>, max_buffers> buffers;  // handles: the state outlives its owner
  int input_count = 0, output_count = 0, buffer_count = 0;
  int32_t first_output = 0;
  Mode mode = Mode::eval;
  uint64_t key = 0;
  const uint64_t* run_key = nullptr;
};

struct Value {
  Shape shape;
  DType dtype = DType::f32;
  Format format = Format::plain;
  std::optional<Param> param;
  Tensor grad;
  bool owned = true;  // false: grad shares bytes with another gradient, copy before adding
  bool watched = false;
};

struct Tape::Work {
  std::vector<TapeNode> nodes;
  std::vector<Value> values;
  size_t node_count = 0, value_count = 0;
  Device device;
  bool spent = false;

  TapeNode& add_node() {
    if (node_count == nodes.size()) nodes.emplace_back();
    return nodes[node_count++];
  }
  int32_t add_value(const Tensor& t) {
    if (value_count == values.size()) values.emplace_back();
    Value& v = values[value_count];
    v.shape = t.shape();
    v.dtype = t.dtype();
    v.format = t.format();
    v.owned = true;
    v.watched = false;
    return int32_t(value_count++);
  }
  // Drops every tensor but keeps the memory of the tables.
  void clear() {
    for (size_t i = 0; i < node_count; ++i) release(nodes[i]);
    for (size_t i = 0; i < value_count; ++i) {
      values[i].param.reset();
      values[i].grad = Tensor();
    }
    node_count = value_count = 0;
    spent = false;
  }
  static void release(TapeNode& n) {
    for (int i = 0; i < n.input_count; ++i) n.inputs[size_t(i)] = Tensor();
    for (int i = 0; i < n.output_count; ++i) n.outputs[size_t(i)] = Tensor();
    for (int i = 0; i < n.buffer_count; ++i) n.buffers[size_t(i)].reset();
  }

  // Where the gradient of value `id` is written, and whether it holds one already. An op that
  // writes kept weights alone finds zeros everywhere else.
  Tensor destination(int32_t id, bool& accumulate, bool kept_only = false) {
    Value& v = values[size_t(id)];
    if (v.param) {
      ParamState& s = v.param->inner();
      if (!s.grad.defined() || s.grad.shape() != v.shape || s.grad.dtype() != v.dtype)
        s.grad = Tensor::empty(v.shape, v.dtype, v.format, s.value.device());
      accumulate = std::exchange(s.has_grad, true);
      if (kept_only && s.kept_grad != s.grad.raw()) {
        if (!accumulate) s.grad.fill(0);
        if (accumulate) v.param->apply_mask();
      }
      s.kept_grad = kept_only ? s.grad.raw() : nullptr;
      return s.grad;
    }
    accumulate = v.grad.defined();
    if (!v.grad.defined())
      v.grad = Tensor::empty(v.shape, v.dtype, v.format, device);
    else if (!v.owned)
      v.grad = v.grad.clone();
    v.owned = true;
    return v.grad;
  }
  void add_passed(int32_t id, const Tensor& given);
};

namespace {

// y += x, same shape and format.
void accumulate_into(const Tensor& y, const Tensor& x) {
  static const Kernel kernel("accumulate");
  const TensorArg in = tensor_arg(x), out = tensor_arg(y);
  KernelArgs args;
  args.inputs = &in;
  args.outputs = &out;
  args.input_count = args.output_count = 1;
  kernel(y.device(), args);
}

thread_local std::unique_ptr<void, void (*)(void*)> spare_work{nullptr, nullptr};

}  // namespace

void Tape::Work::add_passed(int32_t id, const Tensor& given) {
  Value& v = values[size_t(id)];
  const Tensor t = given.in_format(v.format);
  if (!v.param && !v.grad.defined()) {
    v.grad = t;
    v.owned = false;
    return;
  }
  bool accumulate = false;
  const Tensor to = destination(id, accumulate);
  if (accumulate)
    accumulate_into(to, t);
  else
    to.copy_from(t);
}

Tape::Tape() : previous_(current_recorder()) {
  if (spare_work)
    work_.reset(static_cast<Work*>(spare_work.release()));
  else
    work_ = std::make_unique<Work>();
  set_current_recorder(this);
  restart_node_names();
}

Tape::~Tape() {
  set_current_recorder(previous_);
  work_->clear();
  spare_work = {work_.release(), [](void* w) { delete static_cast<Work*>(w); }};
}

size_t Tape::node_count() const { return work_->node_count; }

Tensor Tape::watch(const Tensor& x) {
  Tensor t = x;
  const int32_t id = work_->add_value(x);
  work_->values[size_t(id)].watched = true;
  t.set_ref({run(), id});
  return t;
}

Tensor Tape::bind(const Param& param) {
  Tensor t = param.inner().value;
  const int32_t id = work_->add_value(t);
  work_->values[size_t(id)].param = param;
  t.set_ref({run(), id});
  return t;
}

Tensor Tape::pattern_of(const Tensor& t) const {
  if (t.ref().run != run() || t.ref().id < 0) return {};
  const Value& v = work_->values[size_t(t.ref().id)];
  return v.param ? v.param->pattern() : Tensor();
}

Tensor Tape::grad(const Tensor& watched) const {
  check(watched.ref().run == run(), "this tensor is not watched by this tape");
  return work_->values[size_t(watched.ref().id)].grad;
}

void Tape::record(Call& call, std::span<const Tensor> original, std::string_view) {
  if (!call.op->differentiable) return;
  bool wanted = false;
  for (const Tensor& t : original) wanted = wanted || (t.ref().run == run() && is_float(t.dtype()));
  if (!wanted) return;
  Work& w = *work_;
  TapeNode& n = w.add_node();
  n.op = call.op;
  n.attrs = *call.attrs;
  n.mode = call.mode;
  n.key = call.key;
  n.run_key = call.run_key;
  n.input_count = int(original.size());
  n.output_count = call.output_count;
  n.buffer_count = int(call.buffers.size());
  check(call.buffers.size() <= n.buffers.size(), "{}: too many buffers", call.op->name);
  for (size_t i = 0; i < call.buffers.size(); ++i) n.buffers[i] = *call.buffers[i];
  for (size_t i = 0; i < original.size(); ++i) {
    const bool mine = original[i].ref().run == run() && is_float(original[i].dtype());
    n.input_ids[i] = mine ? original[i].ref().id : -1;
    n.seen_formats[i] = call.inputs[i].format();
    n.input_shapes[i] = call.inputs[i].shape();
    if (call.op->saves_inputs >> i & 1) n.inputs[i] = call.inputs[i];
  }
  w.device = call.x().device();
  for (int i = 0; i < call.output_count; ++i) {
    Tensor& out = call.outputs[size_t(i)];
    const int32_t id = w.add_value(out);
    if (i == 0) n.first_output = id;
    if (is_float(out.dtype())) out.set_ref({run(), id});
    if (call.op->saves_outputs >> i & 1) n.outputs[size_t(i)] = out;
  }
}

void Tape::backward(const Tensor& loss) {
  check(loss.elements() == 1, "backward needs a loss of one element, this one is {}", loss.shape());
  backward(loss, Tensor::full(loss.shape(), 1, loss.dtype(), loss.device()));
}

void Tape::backward(const Tensor& output, const Tensor& grad_output) {
  Work& w = *work_;
  check(output.ref().run == run(),
        "backward: the tensor does not depend on any parameter used while this tape was alive");
  check(grad_output.shape() == output.shape(), "backward: gradient {} for an output of shape {}",
        grad_output.shape(), output.shape());
  check(!std::exchange(w.spent, true), "backward was called already; a tape serves one backward");
  const RecorderScope no_recording(nullptr);
  w.add_passed(output.ref().id, grad_output);

  std::array<Tensor, max_inputs> grads, passed;
  std::array<bool, max_inputs> accumulate{}, convert{};
  std::array<Tensor, max_outputs> grad_outputs;
  for (size_t k = w.node_count; k-- > 0;) {
    TapeNode& n = w.nodes[k];
    const size_t outs = size_t(n.output_count), ins = size_t(n.input_count);
    bool reached = false;
    for (size_t i = 0; i < outs; ++i)
      reached = reached || w.values[size_t(n.first_output) + i].grad.defined();
    if (reached) {
      for (size_t i = 0; i < outs; ++i) {
        Value& v = w.values[size_t(n.first_output) + i];
        // A gradient in another format than its value's comes from a consumer that passed it on.
        grad_outputs[i] = v.grad.defined()
                              ? v.grad.in_format(v.format)
                              : Tensor::zeros(v.shape, v.dtype, w.device).in_format(v.format);
        if (!v.watched) v.grad = Tensor();
      }
      for (size_t i = 0; i < ins; ++i) {
        grads[i] = passed[i] = Tensor();
        accumulate[i] = convert[i] = false;
        if (n.input_ids[i] < 0) continue;
        const Value& v = w.values[size_t(n.input_ids[i])];
        convert[i] = v.format != n.seen_formats[i];
        if (convert[i])
          grads[i] = Tensor::empty(v.shape, v.dtype, n.seen_formats[i], w.device);
        else if (!n.op->passes_gradients)
          grads[i] =
              w.destination(n.input_ids[i], accumulate[i], i == 1 && n.op->writes_kept_gradient);
        else
          grads[i] = grad_outputs[0];  // only says "wanted": the op passes tensors on
      }
      BackwardCall call;
      call.op = n.op;
      call.attrs = &n.attrs;
      call.inputs = {n.inputs.data(), ins};
      call.input_shapes = {n.input_shapes.data(), ins};
      call.outputs = {n.outputs.data(), outs};
      call.grad_outputs = {grad_outputs.data(), outs};
      std::array<Buffer*, max_buffers> buffers{};
      for (size_t i = 0; i < size_t(n.buffer_count); ++i) buffers[i] = &*n.buffers[i];
      call.buffers = {buffers.data(), size_t(n.buffer_count)};
      call.mode = n.mode;
      call.key = n.key;
      call.run_key = n.run_key;
      call.device = w.device;
      call.grad_inputs = {grads.data(), ins};
      call.accumulate = {accumulate.data(), ins};
      call.passed = {passed.data(), ins};
      run_backward(call);
      for (size_t i = 0; i < ins; ++i) {
        if (n.input_ids[i] < 0) continue;
        if (n.op->passes_gradients) {
          if (passed[i].defined()) w.add_passed(n.input_ids[i], passed[i]);
        } else if (convert[i]) {
          w.add_passed(n.input_ids[i], grads[i]);
        }
        grads[i] = passed[i] = Tensor();
      }
      for (size_t i = 0; i < outs; ++i) grad_outputs[i] = Tensor();
    }
    Work::release(n);
  }
}

}  // namespace pare
