#include "autograd/graph_dot.h"

#include <algorithm>

namespace pare {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string shape_text(const Ints& shape) {
  std::string out;
  for (int i = 0; i < shape.size(); ++i) {
    if (i) out += "x";
    const bool symbolic = shape.symbolic >> i & 1;
    if (!symbolic || shape[i] != 1) out += std::to_string(shape[i]);
    if (symbolic) out += "N";
  }
  return out;
}

// "weight 300x784, 90 % zeros"
std::string weight_text(const GraphValue& v) {
  const Tensor t = v.kind == ValueKind::param ? v.param.masked_value() : v.constant;
  const std::string name = v.name.substr(v.name.rfind('.') + 1);
  std::string out = name + " " + to_string(t.shape());
  int64_t zeros = 0;
  for (const double x : t.to_vector<double>()) zeros += x == 0;
  if (t.rank() >= 2 && zeros > 0)
    out += message(", {} % zeros", 100 * zeros / std::max<int64_t>(t.elements(), 1));
  return out;
}

}  // namespace

std::string to_dot(const Graph& graph) {
  std::string out = "digraph pare {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  out += "  in [shape=oval, label=\"input\"];\n  out [shape=oval, label=\"output\"];\n";
  const auto source = [&](int value) {
    const int node = graph.producer(value);
    return node < 0 ? std::string("in") : "n" + std::to_string(node);
  };
  const auto arrow = [&](int value, const std::string& to) {
    const GraphValue& v = graph.values[size_t(value)];
    out += "  " + source(value) + " -> " + to + " [label=" + quoted(shape_text(v.shape)) + "];\n";
  };
  for (size_t k = 0; k < graph.nodes.size(); ++k) {
    const GraphNode& node = graph.nodes[k];
    const std::string id = "n" + std::to_string(k);
    std::string label = quoted(node.name + "\n" + node.op->name);
    label.pop_back();
    for (const int v : node.inputs) {
      const GraphValue& value = graph.values[size_t(v)];
      if (value.kind == ValueKind::param || value.kind == ValueKind::constant) {
        const std::string line = quoted(weight_text(value));
        label += "\n" + line.substr(1, line.size() - 2);
      } else {
        arrow(v, id);
      }
    }
    out += "  " + id + " [label=" + label + "\"];\n";
  }
  for (const int v : graph.outputs) arrow(v, "out");
  return out + "}\n";
}

}  // namespace pare
