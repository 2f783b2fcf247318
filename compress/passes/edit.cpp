#include "compress/passes/edit.h"

#include <algorithm>

namespace pare::passes {

int only_reader(const Graph& graph, int value) {
  if (std::count(graph.outputs.begin(), graph.outputs.end(), value)) return -1;
  const std::vector<int> readers = graph.consumers(value);
  if (readers.size() != 1) return -1;
  const auto& inputs = graph.nodes[size_t(readers[0])].inputs;
  return std::count(inputs.begin(), inputs.end(), value) == 1 ? readers[0] : -1;
}

Tensor known_tensor(const Graph& graph, int value) {
  const GraphValue& v = graph.values[size_t(value)];
  if (v.kind == ValueKind::param) return v.param().to(Device{}).plain();
  if (v.kind == ValueKind::constant) return v.constant.to(Device{}).plain();
  return {};
}

int add_constant(Graph& graph, const std::string& name, const Tensor& tensor) {
  GraphValue v;
  v.name = name;
  v.kind = ValueKind::constant;
  v.shape = Ints(tensor.shape().data(), tensor.rank());
  v.dtype = tensor.dtype();
  v.constant = tensor;
  return graph.add_value(std::move(v));
}

}  // namespace pare::passes
