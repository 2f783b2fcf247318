#include "autograd/graph.h"

#include <algorithm>
#include <mutex>
#include <set>

namespace pare {
namespace {

// Tables of values are kept between runs of a thread, so that replay allocates nothing.
std::vector<std::vector<Tensor>>& spare_tables() {
  thread_local std::vector<std::vector<Tensor>> tables;
  return tables;
}

struct BorrowedTable {
  std::vector<Tensor> values;
  explicit BorrowedTable(size_t n) {
    auto& spare = spare_tables();
    if (!spare.empty()) {
      values = std::move(spare.back());
      spare.pop_back();
    }
    values.resize(n);
  }
  ~BorrowedTable() {
    values.clear();
    spare_tables().push_back(std::move(values));
  }
};

std::string_view scope_of(const std::string& node_name) {
  const size_t slash = node_name.rfind('/');
  return slash == std::string::npos ? std::string_view()
                                    : std::string_view(node_name).substr(0, slash);
}

bool has_symbolic(const Attrs& attrs) {
  return std::any_of(attrs.begin(), attrs.end(), [](const auto& e) { return e.ints.symbolic; });
}

Attrs at_batch(const Attrs& attrs, int64_t batch) {
  Attrs out = attrs;
  for (Attrs::Entry& e : out) {
    for (int i = 0; i < e.ints.count; ++i)
      if (e.ints.symbolic >> i & 1)
        check(!__builtin_mul_overflow(e.ints.values[i], batch, &e.ints.values[i]),
              "the attribute '{}' is too large at batch {}", e.name, batch);
    e.ints.symbolic = 0;
  }
  return out;
}

}  // namespace

void Graph::changed() { plan_.reset(); }

std::shared_ptr<const Graph::Plan> Graph::plan() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (!plan_) {
    verify();
    auto plan = std::make_shared<Plan>();
    auto& last_uses = plan->last_uses;
    last_uses.resize(nodes.size());
    std::vector<bool> seen(values.size());
    for (const int out : outputs) seen[size_t(out)] = true;
    for (size_t n = nodes.size(); n-- > 0;) {
      for (const auto* ids : {&nodes[n].inputs, &nodes[n].outputs})
        for (const int v : *ids)
          if (!seen[size_t(v)]) {
            seen[size_t(v)] = true;
            last_uses[n].push_back(v);
          }
    }
    plan_ = std::move(plan);
  }
  return plan_;
}

void Graph::replay(const Tensor& x, Mode mode, std::vector<Tensor>& table) {
  const std::shared_ptr<const Plan> plan = this->plan();
  const Ints& expected = values[size_t(input)].shape;
  check(x.rank() == expected.size(), "the network takes {} axes, the input is {}",
        int(expected.size()), x.shape());
  for (int i = 0; i < x.rank(); ++i)
    check(expected.symbolic >> i & 1 || x.size(i) == expected[i],
          "the network takes {} (any batch), the input is {}", input_shape(x.size(0)), x.shape());
  const int64_t batch = x.rank() ? x.size(0) : 1;

  table[size_t(input)] = x;
  std::array<Tensor, max_inputs> in;
  std::array<Tensor, max_outputs> out;
  std::array<Buffer*, max_buffers> buffer_list{};
  for (size_t k = 0; k < nodes.size(); ++k) {
    const GraphNode& node = nodes[k];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const size_t id = size_t(node.inputs[i]);
      if (!table[id].defined()) {
        GraphValue& v = values[id];
        if (v.kind == ValueKind::constant && v.constant.device() != x.device())
          v.constant = v.constant.to(x.device());
        table[id] = v.kind == ValueKind::param ? v.param() : v.constant;
      }
      in[i] = table[id];
    }
    for (size_t i = 0; i < node.buffers.size(); ++i)
      buffer_list[i] = &buffers[size_t(node.buffers[i])].buffer;
    ApplyOptions options;
    options.buffers = {buffer_list.data(), node.buffers.size()};
    options.mode = mode;
    options.node_name = node.name;
    const ScopeName scope(scope_of(node.name));
    const std::span<Tensor> inputs(in.data(), node.inputs.size());
    if (has_symbolic(node.attrs))
      apply(*node.op, inputs, at_batch(node.attrs, batch), out, options);
    else
      apply(*node.op, inputs, node.attrs, out, options);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      table[size_t(node.outputs[i])] = std::move(out[i]);
    for (Tensor& t : out) t = Tensor();
    for (Tensor& t : inputs) t = Tensor();
    for (const int dead : plan->last_uses[k]) table[size_t(dead)] = Tensor();
  }
}

Tensor Graph::forward(const Tensor& x, Mode mode) {
  BorrowedTable table(values.size());
  replay(x, mode, table.values);
  return table.values[size_t(outputs.front())];
}

std::vector<Tensor> Graph::run(const Tensor& x, Mode mode) {
  BorrowedTable table(values.size());
  replay(x, mode, table.values);
  std::vector<Tensor> out;
  for (const int id : outputs) out.push_back(table.values[size_t(id)]);
  return out;
}

void Graph::visit(Visitor& visitor) {
  for (GraphValue& v : values)
    if (v.kind == ValueKind::param) visitor(v.name, v.param);
  for (GraphBuffer& b : buffers) visitor(b.name, b.buffer);
}

std::optional<Device> Graph::own_device() const {
  for (const GraphValue& v : values)
    if (v.kind == ValueKind::constant) return v.constant.device();
  return std::nullopt;
}
void Graph::follow(Device device) {
  for (GraphValue& v : values)
    if (v.kind == ValueKind::constant) v.constant = v.constant.to(device);
}
void Graph::follow(DType dtype) {
  for (GraphValue& v : values) {
    if (!is_float(v.dtype)) continue;
    v.dtype = dtype;
    if (v.kind == ValueKind::constant) v.constant = v.constant.to(dtype);
  }
}

Graph Graph::share() const {
  Graph g;
  g.values = values;
  g.nodes = nodes;
  g.buffers = buffers;
  g.input = input;
  g.outputs = outputs;
  g.metadata = metadata;
  return g;
}

Graph Graph::clone() const {
  Graph g = share();
  for (GraphValue& v : g.values) {
    if (v.kind == ValueKind::param) v.param = v.param.clone();
    if (v.kind == ValueKind::constant) v.constant = v.constant.clone();
  }
  for (GraphBuffer& b : g.buffers) b.buffer = b.buffer.clone();
  return g;
}

void Graph::verify() const {
  const auto need = [](bool ok, std::string_view what, const auto&... args) {
    check(ok, ErrorCode::bad_input, what, args...);
  };
  const int n = int(values.size());
  const auto known = [n](int id) { return id >= 0 && id < n; };
  need(known(input) && values[size_t(input)].kind == ValueKind::input,
       "graph: the input is not among its values");
  need(!outputs.empty(), "graph: no outputs");
  std::set<std::string_view> names;
  std::vector<bool> made(size_t(n), false);
  for (int i = 0; i < n; ++i) {
    const GraphValue& v = values[size_t(i)];
    need(names.insert(v.name).second, "graph: two values are named '{}'", v.name);
    need(v.kind != ValueKind::param || v.param.defined(), "graph: parameter '{}' has no value",
         v.name);
    need(v.kind != ValueKind::constant || v.constant.defined(), "graph: constant '{}' has no value",
         v.name);
    made[size_t(i)] = v.kind != ValueKind::computed;
  }
  names.clear();
  for (const GraphNode& node : nodes) {
    need(node.op != nullptr, "graph: node '{}' has no op", node.name);
    need(names.insert(node.name).second, "graph: two nodes are named '{}'", node.name);
    need(node.op->inputs.holds(node.inputs.size()) && !node.outputs.empty() &&
             node.outputs.size() <= size_t(max_outputs) &&
             node.op->buffers.holds(node.buffers.size()),
         "graph: node '{}' has {} inputs, {} outputs, {} buffers, which {} does not take",
         node.name, node.inputs.size(), node.outputs.size(), node.buffers.size(), node.op->name);
    for (const AttrRule& rule : node.op->attributes) {
      const bool given =
          !rule.name ||
          std::any_of(node.attrs.begin(), node.attrs.end(), [&](const Attrs::Entry& e) {
            return e.kind == rule.kind && std::string_view(e.name) == rule.name;
          });
      need(given, "graph: node '{}' lacks the attribute '{}' of {}", node.name, rule.name,
           node.op->name);
    }
    for (const int id : node.inputs)
      need(known(id) && made[size_t(id)], "graph: node '{}' reads value {} before it is made",
           node.name, id);
    for (const int id : node.outputs) {
      need(known(id) && !made[size_t(id)], "graph: node '{}' makes value {} a second time",
           node.name, id);
      made[size_t(id)] = true;
    }
    for (const int b : node.buffers)
      need(b >= 0 && b < int(buffers.size()) && buffers[size_t(b)].buffer.defined(),
           "graph: node '{}' uses buffer {} of {}", node.name, b, buffers.size());
  }
  for (const int id : outputs)
    need(known(id) && made[size_t(id)], "graph: output value {} is never made", id);
}

Shape Graph::input_shape(int64_t batch) const {
  const Ints& dims = values[size_t(input)].shape;
  Shape shape;
  for (int i = 0; i < dims.size(); ++i)
    shape.push_back(dims.symbolic >> i & 1 ? dims[i] * batch : dims[i]);
  return shape;
}

int Graph::find_value(std::string_view name) const {
  const auto it =
      std::find_if(values.begin(), values.end(), [&](auto& v) { return v.name == name; });
  return it == values.end() ? -1 : int(it - values.begin());
}

int Graph::find_node(std::string_view name) const {
  const auto it = std::find_if(nodes.begin(), nodes.end(), [&](auto& n) { return n.name == name; });
  return it == nodes.end() ? -1 : int(it - nodes.begin());
}

int Graph::producer(int value) const {
  for (size_t k = 0; k < nodes.size(); ++k)
    if (std::count(nodes[k].outputs.begin(), nodes[k].outputs.end(), value)) return int(k);
  return -1;
}

std::vector<int> Graph::consumers(int value) const {
  std::vector<int> readers;
  for (size_t k = 0; k < nodes.size(); ++k)
    if (std::count(nodes[k].inputs.begin(), nodes[k].inputs.end(), value))
      readers.push_back(int(k));
  return readers;
}

std::string Graph::unique_value_name(const std::string& hint) const {
  std::string name = hint;
  for (int i = 2; find_value(name) >= 0; ++i) name = hint + "_" + std::to_string(i);
  return name;
}

int Graph::add_value(GraphValue value) {
  value.name = unique_value_name(value.name);
  values.push_back(std::move(value));
  changed();
  return int(values.size()) - 1;
}

void Graph::insert_node(int position, GraphNode node) {
  nodes.insert(nodes.begin() + position, std::move(node));
  changed();
}

void Graph::remove_node(int position) {
  nodes.erase(nodes.begin() + position);
  changed();
}

void Graph::replace_uses(int from, int to, int first_node) {
  for (size_t k = size_t(first_node); k < nodes.size(); ++k)
    std::replace(nodes[k].inputs.begin(), nodes[k].inputs.end(), from, to);
  std::replace(outputs.begin(), outputs.end(), from, to);
  changed();
}

void Graph::remove_unused() {
  std::vector<int> new_value(values.size(), -1), new_buffer(buffers.size(), -1);
  const auto keep = [](std::vector<int>& ids, int id) { ids[size_t(id)] = 0; };
  keep(new_value, input);
  for (const int id : outputs) keep(new_value, id);
  for (const GraphNode& node : nodes) {
    for (const int id : node.inputs) keep(new_value, id);
    for (const int id : node.outputs) keep(new_value, id);
    for (const int id : node.buffers) keep(new_buffer, id);
  }
  // Moves what is kept to the front and notes where it went.
  const auto compact = [](auto& list, std::vector<int>& ids) {
    size_t kept = 0;
    for (size_t i = 0; i < list.size(); ++i)
      if (ids[i] == 0) {
        ids[i] = int(kept);
        if (kept != i) list[kept] = std::move(list[i]);
        ++kept;
      }
    list.erase(list.begin() + std::ptrdiff_t(kept), list.end());
  };
  compact(values, new_value);
  compact(buffers, new_buffer);
  const auto renumber = [](std::vector<int>& ids, const std::vector<int>& to) {
    for (int& id : ids) id = to[size_t(id)];
  };
  input = new_value[size_t(input)];
  renumber(outputs, new_value);
  for (GraphNode& node : nodes) {
    renumber(node.inputs, new_value);
    renumber(node.outputs, new_value);
    renumber(node.buffers, new_buffer);
  }
  changed();
}

std::string Graph::get_metadata(std::string_view key) const {
  for (const auto& [k, v] : metadata)
    if (k == key) return v;
  return {};
}

void Graph::set_metadata(const std::string& key, const std::string& value) {
  for (auto& [k, v] : metadata)
    if (k == key) {
      v = value;
      return;
    }
  metadata.emplace_back(key, value);
}

std::string to_string(const Ints& ints) {
  std::string out = "[";
  for (int i = 0; i < ints.size(); ++i) {
    if (i) out += ",";
    const bool symbolic = ints.symbolic >> i & 1;
    if (!symbolic || ints[i] != 1) out += std::to_string(ints[i]);
    if (symbolic) out += "N";
  }
  return out + "]";
}

std::string to_string(const Graph& graph) {
  std::string out;
  const auto list = [&](const std::vector<int>& ids) {
    std::string s;
    for (const int id : ids) {
      if (!s.empty()) s += ", ";
      s += graph.values[size_t(id)].name;
    }
    return s;
  };
  const GraphValue& in = graph.values[size_t(graph.input)];
  out += in.name + " " + to_string(in.dtype) + to_string(in.shape) + "\n";
  for (const GraphNode& node : graph.nodes) {
    const GraphValue& first = graph.values[size_t(node.outputs[0])];
    out += list(node.outputs) + " " + to_string(first.shape) + " = " + node.op->name + "(" +
           list(node.inputs) + ")";
    for (const Attrs::Entry& e : node.attrs) {
      out += std::string(" ") + e.name + "=";
      if (e.kind == Attrs::Kind::integer) out += std::to_string(e.integer);
      if (e.kind == Attrs::Kind::real) out += message("{}", e.real);
      if (e.kind == Attrs::Kind::ints) out += to_string(e.ints);
    }
    out += "\n";
  }
  return out + "return " + list(graph.outputs) + "\n";
}

}  // namespace pare
