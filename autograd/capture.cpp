// capture: runs a module under a recorder that keeps every op, and turns what two batch sizes and
// both modes agree on into a graph.
#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "autograd/graph.h"
#include "autograd/tape.h"

namespace pare {
namespace {

// One recorded run, with concrete extents.
class Capture : public Recorder, public ParamBook {
 public:
  struct Value {
    ValueKind kind;
    Shape shape;
    DType dtype;
    std::optional<Param> param;
    Tensor constant;
    std::string made_by;  // node name
    int output_index = 0;
  };
  struct Node {
    const Op* op;
    std::string name;
    std::vector<int> inputs, outputs;
    std::vector<Buffer> buffers;
    Attrs attrs;
  };
  std::vector<Value> values;
  std::vector<Node> nodes;

  Tensor start(const Tensor& x) {
    Tensor t = x;
    t.set_ref({run(), add({ValueKind::input, x.shape(), x.dtype(), {}, {}, {}})});
    return t;
  }

  bool needs_names() const override { return true; }
  bool folds_transforms() const override { return true; }

  Tensor bind(const Param& param) override {
    Tensor t = param.value();
    t.set_ref({run(), add({ValueKind::param, t.shape(), t.dtype(), param, {}, {}})});
    return t;
  }

  void record(Call& call, std::span<const Tensor> original, std::string_view name) override {
    Node node{call.op, std::string(name), {}, {}, {}, *call.attrs};
    for (const Tensor& t : original) node.inputs.push_back(id_of(t));
    for (Buffer* b : call.buffers) node.buffers.push_back(*b);
    for (int i = 0; i < call.output_count; ++i) {
      Tensor& t = call.outputs[size_t(i)];
      const int id = add({ValueKind::computed, t.shape(), t.dtype(), {}, {}, node.name, i});
      t.set_ref({run(), id});
      node.outputs.push_back(id);
    }
    nodes.push_back(std::move(node));
  }

 private:
  int add(Value v) {
    values.push_back(std::move(v));
    return int(values.size()) - 1;
  }
  // A tensor nobody recorded is a constant of the network: found by its bytes when used again.
  int id_of(const Tensor& t) {
    if (t.ref().run == run()) return t.ref().id;
    for (auto [it, end] = constants_.equal_range(t.raw()); it != end; ++it)
      if (values[size_t(it->second)].shape == t.shape()) return it->second;
    const int id = add({ValueKind::constant, t.shape(), t.dtype(), {}, t, scope_path()});
    constants_.emplace(t.raw(), id);
    return id;
  }

  std::unordered_multimap<const void*, int> constants_;  // ids by their first byte
};

void refuse_reading(const Tensor&) {
  if (dynamic_cast<Capture*>(current_recorder()))
    fail(ErrorCode::usage,
         "capture: the forward pass reads a tensor's values, so its result cannot be recorded as a "
         "graph; express the step with ops, or train the module without capture");
}
const bool hook_set = [] {
  set_read_hook(refuse_reading);
  return true;
}();

[[noreturn]] void differs(const std::string& where, std::string_view what) {
  fail(ErrorCode::usage,
       "capture: {} {} between two recordings; a graph needs the same ops whatever the batch, the "
       "mode and the data",
       where, what);
}

// Numbers of two recordings at batches b1 and b2, as multiples of the batch where they moved.
Ints merge(const Ints& a, const Ints& b, int64_t b1, int64_t b2, const std::string& where) {
  if (a.count != b.count) differs(where, "has lists of different lengths");
  Ints out = a;
  for (int i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    if (a[i] % b1 || a[i] / b1 * b2 != b[i]) differs(where, "changes other than with the batch");
    out.values[i] = a[i] / b1;
    out.symbolic |= uint8_t(1u << i);
  }
  return out;
}

Ints extents(const Shape& shape) { return Ints(shape.data(), shape.rank()); }

struct Recording {
  std::unique_ptr<Capture> capture;
  int output = -1;
  int64_t batch = 0;
};

// Floats of other values than x, of about its size; integers, which may be indices, as they are.
Tensor other_values(const Tensor& x) {
  if (!is_float(x.dtype())) return x;
  std::vector<double> v = x.to_vector<double>();
  for (size_t i = 0; i < v.size(); ++i) v[i] = 0.75 * v[i] + double(1 + i % 7) / 32;
  return Tensor::from(v, x.shape()).to(x.dtype()).in_format(x.format()).to(x.device());
}

Recording record(Module& module, const Tensor& sample, int64_t batch, Mode mode) {
  Shape shape = sample.shape();
  shape.set(0, batch);
  const Tensor x = Tensor::empty(shape, sample.dtype(), sample.format(), sample.device());
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t from = i % sample.size(0);
    x.rows(i, i + 1).copy_from(sample.rows(from, from + 1));
  }
  Recording r{std::make_unique<Capture>(), -1, batch};
  restart_node_names();
  const RecorderScope scope(r.capture.get());
  const Tensor y = module(r.capture->start(x), mode);
  check(y.ref().run == r.capture->run(),
        "capture: the output of the network does not come from it");
  r.output = y.ref().id;
  return r;
}

// Throws unless both recordings hold the same program; `merged` collects symbolic extents.
void compare(const Recording& a, const Recording& b, Graph* merged) {
  const Capture &p = *a.capture, &q = *b.capture;
  for (size_t k = 0; k < std::min(p.nodes.size(), q.nodes.size()); ++k) {
    const Capture::Node &m = p.nodes[k], &n = q.nodes[k];
    if (m.op != n.op || m.name != n.name || m.inputs != n.inputs || m.outputs != n.outputs ||
        m.attrs.size() != n.attrs.size())
      differs("node '" + m.name + "'", "differs");
    for (int i = 0; i < m.attrs.size(); ++i) {
      const Attrs::Entry &e = m.attrs.begin()[i], &f = n.attrs.begin()[i];
      const std::string where = "attribute '" + std::string(e.name) + "' of '" + m.name + "'";
      Attrs::Entry same_ints = f;
      same_ints.ints = e.ints;
      if (!(e == same_ints)) differs(where, "differs");
      const Ints list = merge(e.ints, f.ints, a.batch, b.batch, where);
      if (merged) merged->nodes[k].attrs.begin()[i].ints = list;
    }
  }
  if (p.nodes.size() != q.nodes.size() || p.values.size() != q.values.size() ||
      a.output != b.output)
    differs("the list of ops", "differs in length");
  for (size_t i = 0; i < p.values.size(); ++i) {
    const Capture::Value &v = p.values[i], &w = q.values[i];
    const std::string where = "the value made by '" + v.made_by + "'";
    if (v.kind != w.kind || v.dtype != w.dtype) differs(where, "differs");
    if (v.kind == ValueKind::constant &&
        (v.shape != w.shape ||
         std::memcmp(v.constant.to(Device{}).plain().raw(), w.constant.to(Device{}).plain().raw(),
                     v.constant.bytes()) != 0))
      differs("a constant used in '" + v.made_by + "'", "differs");
    const Ints shape = merge(extents(v.shape), extents(w.shape), a.batch, b.batch, where);
    if (merged) merged->values[i].shape = shape;
  }
}

Graph to_graph(Module& module, const Recording& recording) {
  Graph g;
  const auto param_names = named_parameters(module);
  const auto buffer_names = named_buffers(module);
  std::unordered_map<std::string, int> constants;  // of a name so far
  for (const Capture::Value& v : recording.capture->values) {
    GraphValue out;
    out.kind = v.kind;
    out.dtype = v.dtype;
    out.shape = extents(v.shape);
    switch (v.kind) {
      case ValueKind::input:
        out.name = "input";
        break;
      case ValueKind::constant:
        out.constant = v.constant.clone();
        out.name = v.made_by.empty() ? "constant" : v.made_by + "/constant";
        if (const int n = ++constants[out.name]; n > 1) out.name += "_" + std::to_string(n);
        break;
      case ValueKind::computed:
        out.name = v.made_by + (v.output_index ? ":" + std::to_string(v.output_index) : "");
        break;
      case ValueKind::param: {
        out.param = *v.param;
        const auto it = std::find_if(param_names.begin(), param_names.end(),
                                     [&](auto& n) { return n.second.same_as(out.param); });
        check(it != param_names.end(),
              "capture: the network uses a parameter ({}) that no visit() names", v.shape);
        out.name = it->first;
        break;
      }
    }
    g.values.push_back(std::move(out));
  }
  for (const Capture::Node& n : recording.capture->nodes) {
    GraphNode node{n.op, n.name, n.inputs, n.outputs, {}, n.attrs};
    for (const Buffer& b : n.buffers) {
      size_t i = 0;
      while (i < g.buffers.size() && !g.buffers[i].buffer.same_as(b)) ++i;
      if (i == g.buffers.size()) {
        const auto it = std::find_if(buffer_names.begin(), buffer_names.end(),
                                     [&](auto& named) { return named.second.same_as(b); });
        check(it != buffer_names.end(), "capture: '{}' uses a buffer that no visit() names",
              n.name);
        g.buffers.push_back({it->first, b});
      }
      node.buffers.push_back(int(i));
    }
    g.nodes.push_back(std::move(node));
  }
  g.input = 0;
  g.outputs = {recording.output};
  return g;
}

}  // namespace

Graph capture(Module& module, const Tensor& sample) {
  check(sample.rank() > 0 && sample.size(0) > 0, "capture: the sample {} has no rows",
        sample.shape());
  auto buffers = named_buffers(module);
  std::vector<Tensor> before;
  for (auto& [name, b] : buffers) before.push_back(b.defined() ? b.value().clone() : Tensor());
  const auto restore = [&] {
    for (size_t i = 0; i < buffers.size(); ++i) {
      if (!before[i].defined())
        buffers[i].second.set_value(Tensor());
      else
        buffers[i].second.value().copy_from(before[i]);
    }
  };
  try {
    const Recording first = record(module, sample, 2, Mode::train);
    Graph g = to_graph(module, first);
    const Tensor other = other_values(sample);
    compare(first, record(module, other, 3, Mode::train), &g);
    compare(first, record(module, sample, 2, Mode::eval), nullptr);
    compare(first, record(module, other, 3, Mode::eval), nullptr);
    restore();
    g.verify();
    return g;
  } catch (...) {
    restore();
    throw;
  }
}

}  // namespace pare
