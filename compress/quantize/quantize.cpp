#include "compress/quantize/quantize.h"

#include "compress/ops.h"
#include "compress/passes/edit.h"
#include "compress/quantize/integers.h"

namespace pare {
namespace {

using passes::add_constant;

// The range buffers of a graph, one per value name.
class RangeBuffers {
 public:
  RangeBuffers(Graph& graph, const std::map<std::string, ObservedRange>& ranges)
      : graph_(graph), ranges_(ranges) {}

  // Index into graph.buffers of the range of `value`.
  int of(int value) {
    const std::string& name = graph_.values[size_t(value)].name;
    const auto known = made_.find(name);
    if (known != made_.end()) return known->second;
    const auto r = ranges_.find(name);
    check(r != ranges_.end(), ErrorCode::bad_input,
          "quantize: calibration saw no value named '{}'; calibrate this graph itself", name);
    graph_.buffers.push_back(
        {name + "/range", Buffer(Tensor::from<float>({r->second.low, r->second.high}, {2}))});
    return made_[name] = int(graph_.buffers.size()) - 1;
  }
  bool has(int value) const { return made_.contains(graph_.values[size_t(value)].name); }

 private:
  Graph& graph_;
  const std::map<std::string, ObservedRange>& ranges_;
  std::map<std::string, int> made_;
};

Quantizer quantizer_in(const Graph& graph, int buffer) {
  const auto range = graph.buffers[size_t(buffer)].buffer.value().to_vector<float>();
  return quantizer_of(range[0], range[1]);
}

int add_like(Graph& graph, int value, const std::string& name, DType dtype) {
  GraphValue v;
  v.name = name;
  v.shape = graph.values[size_t(value)].shape;
  v.dtype = dtype;
  return graph.add_value(std::move(v));
}

Attrs attrs_of(Quantizer q) { return Attrs().set("scale", double(q.scale)).set("zero", q.zero); }

// Builds the node list of the lowered graph.
class Lowering {
 public:
  explicit Lowering(Graph& graph) : graph_(graph) {}

  void layer(const GraphNode& node) {
    const Quantizer xq = quantizer_in(graph_, node.buffers[0]);
    const Quantizer yq = quantizer_in(graph_, node.buffers[1]);
    const auto data = [&](int id) {
      const Tensor t = passes::known_tensor(graph_, id);  // masked and transformed, as it is used
      check(t.defined(), ErrorCode::bad_input,
            "lower: '{}' computes its weight '{}'; an integer layer needs a parameter or constant",
            node.name, graph_.values[size_t(id)].name);
      return t;
    };
    const IntegerLayer integers = integer_layer(data(node.inputs[1]), data(node.inputs[2]), xq, yq);
    const std::string weight = graph_.values[size_t(node.inputs[1])].name;
    const std::string bias = graph_.values[size_t(node.inputs[2])].name;
    const int x = as_integers(node.inputs[0], xq, node.name);
    const int y = node.outputs[0];
    const int yi = add_like(graph_, y, graph_.values[size_t(y)].name + "/int8", DType::u8);
    nodes_.push_back({&int8_dense_op(),
                      node.name,
                      {x, add_constant(graph_, weight + "/int8", integers.weight),
                       add_constant(graph_, bias + "/int32", integers.bias),
                       add_constant(graph_, weight + "/multiplier", integers.multiplier)},
                      {yi},
                      {},
                      Attrs().set("y_zero", yq.zero).set("relu", node.attrs.integer("relu"))});
    integers_[y] = {yi, yq};
  }

  void other(const GraphNode& node) {
    for (const int id : node.inputs) as_float(id);
    nodes_.push_back(node);
  }

  void finish() {
    for (const int id : graph_.outputs) as_float(id);
    graph_.nodes = std::move(nodes_);
  }

 private:
  struct Integers {
    int value;
    Quantizer quantizer;
    bool also_float = false;
  };

  // The u8 form of `value`: what a layer made, or a quantize node's output.
  int as_integers(int value, Quantizer q, const std::string& reader) {
    const auto it = integers_.find(value);
    if (it != integers_.end() && it->second.quantizer == q) return it->second.value;
    as_float(value);
    const int out = add_like(graph_, value, graph_.values[size_t(value)].name + "/int8", DType::u8);
    nodes_.push_back({&quantize_op(), reader + "/quantize", {value}, {out}, {}, attrs_of(q)});
    return out;
  }

  // Makes the float form of `value` exist where only integers do.
  void as_float(int value) {
    const auto it = integers_.find(value);
    if (it == integers_.end() || std::exchange(it->second.also_float, true)) return;
    nodes_.push_back({&dequantize_op(),
                      graph_.values[size_t(value)].name + "/dequantize",
                      {it->second.value},
                      {value},
                      {},
                      attrs_of(it->second.quantizer)});
  }

  Graph& graph_;
  std::vector<GraphNode> nodes_;
  std::map<int, Integers> integers_;
};

}  // namespace

void check_float(const Graph& graph, const std::string& name) {
  for (const GraphNode& node : graph.nodes) {
    const bool fake = node.op == &fake_quant_dense_op();
    check(
        !fake && node.op != &int8_dense_op(), ErrorCode::bad_input,
        "{} is {} network: '{}' has weights of 8 bits; train or prune the float model that it was "
        "made from, then quantize that",
        name, fake ? "a fake-quantized" : "an integer", node.name);
  }
}

QuantizeReport quantize(Graph& graph, const std::map<std::string, ObservedRange>& ranges) {
  QuantizeReport report;
  for (const GraphNode& node : graph.nodes)
    check(node.op != &fake_quant_dense_op() && node.op != &int8_dense_op(), ErrorCode::bad_input,
          "quantize: '{}' is quantized already; start from the float model", node.name);
  RangeBuffers buffers(graph, ranges);
  for (GraphNode& node : graph.nodes) {
    if (node.op->name != std::string_view("dense")) {
      if (node.op->coupling == Coupling::producer) report.left_float.push_back(node.name);
      continue;
    }
    const bool first = !buffers.has(node.inputs[0]);
    const int x_range = buffers.of(node.inputs[0]), y_range = buffers.of(node.outputs[0]);
    node.op = &fake_quant_dense_op();
    node.buffers = {x_range, y_range};
    node.attrs = Attrs()
                     .set("relu", node.attrs.integer("relu"))
                     .set("learns_input", first)
                     .set("observe_input", false)
                     .set("observe_output", false);
    report.quantized.push_back(node.name);
  }
  check(!report.quantized.empty(), ErrorCode::bad_input,
        "quantize: the network has no dense layer, and no other kind has an integer form yet");
  graph.changed();
  return report;
}

void observe_ranges(Graph& graph, bool on) {
  for (GraphNode& node : graph.nodes) {
    if (node.op != &fake_quant_dense_op()) continue;
    node.attrs.set("observe_input", on && node.attrs.integer("learns_input", 0));
    node.attrs.set("observe_output", on);
  }
  graph.changed();
}

Graph lower(const Graph& source) {
  Graph graph = source.clone();
  Lowering lowering(graph);
  bool any = false;
  for (const GraphNode& node : graph.nodes) {
    if (node.op == &fake_quant_dense_op()) {
      lowering.layer(node);
      any = true;
    } else {
      lowering.other(node);
    }
  }
  check(any, ErrorCode::bad_input, "lower: the graph holds no fake-quantized layer");
  lowering.finish();
  graph.remove_unused();
  return graph;
}

}  // namespace pare
