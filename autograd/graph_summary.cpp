#include "autograd/graph_summary.h"

#include <algorithm>
#include <set>

namespace pare {
namespace {

int64_t count_nonzero(const Tensor& tensor) {
  const Tensor t = tensor.to(Device{}).plain();
  const auto count = [&]<class T>(T) {
    const T* x = t.data<T>();
    return std::count_if(x, x + t.elements(), [](T v) { return v != T(0); });
  };
  switch (t.dtype()) {
    case DType::f32:
      return count(float{});
    case DType::f64:
      return count(double{});
    case DType::i32:
      return count(int32_t{});
    case DType::i64:
      return count(int64_t{});
    case DType::i8:
    case DType::u8:
      return count(int8_t{});
  }
  return 0;
}

class Counter : public Recorder {
 public:
  Counter(const Graph& graph, GraphSummary& summary) : graph_(graph), summary_(summary) {}

  void record(Call& call, std::span<const Tensor>, std::string_view name) override {
    const int k = graph_.find_node(name);
    if (k < 0) return;
    const GraphNode& node = graph_.nodes[size_t(k)];
    NodeSummary n{.name = node.name, .op = node.op->name, .output = call.outputs[0].shape()};
    n.macs = n.effective_macs = node.op->macs ? node.op->macs(call) : 0;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const GraphValue& v = graph_.values[size_t(node.inputs[i])];
      if (v.kind != ValueKind::param && v.kind != ValueKind::constant) continue;
      const Tensor t = v.kind == ValueKind::param ? v.param.masked_value() : v.constant;
      const int64_t nonzero = count_nonzero(t);
      if (i == 1 && t.elements() > 0)  // the weight of a layer
        n.effective_macs = int64_t(double(n.macs) * double(nonzero) / double(t.elements()) + 0.5);
      if (!counted_.insert(node.inputs[i]).second) continue;
      n.params += t.elements();
      n.nonzero += nonzero;
      n.weight_bytes += int64_t(t.bytes());
      if (i == 1) n.bits = int(8 * size_of(t.dtype()));
    }
    summary_.params += n.params;
    summary_.nonzero += n.nonzero;
    summary_.weight_bytes += n.weight_bytes;
    summary_.macs += n.macs;
    summary_.effective_macs += n.effective_macs;
    summary_.nodes.push_back(std::move(n));
  }

 private:
  const Graph& graph_;
  GraphSummary& summary_;
  std::set<int> counted_;
};

}  // namespace

GraphSummary summarize(Graph& graph) {
  GraphSummary summary;
  Counter counter(graph, summary);
  const Tensor x = Tensor::zeros(graph.input_shape(1), graph.values[size_t(graph.input)].dtype,
                                 device_of(graph));
  const RecorderScope scope(&counter);
  graph.forward(x, Mode::eval);
  return summary;
}

}  // namespace pare
