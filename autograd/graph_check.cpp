// Graph::verify_shapes: the graph run by its ops' infer rules alone.
#include <algorithm>

#include "autograd/graph.h"

namespace pare {
namespace {

// Holds each node's outputs against what the graph says of them, and counts the bytes alive.
class ShapeChecker : public Recorder {
 public:
  ShapeChecker(const Graph& graph, int64_t batch, ShapesOnly& budget)
      : graph_(graph), batch_(batch), budget_(budget), bytes_(budget.left) {
    last_reader_.resize(graph.values.size(), -1);
    for (size_t k = 0; k < graph.nodes.size(); ++k)
      for (const auto* ids : {&graph.nodes[k].inputs, &graph.nodes[k].outputs})
        for (const int id : *ids) last_reader_[size_t(id)] = int(k);
    for (const int id : graph.outputs) last_reader_[size_t(id)] = int(graph.nodes.size());
  }

  bool needs_names() const override { return true; }

  void record(Call& call, std::span<const Tensor>, std::string_view name) override {
    const size_t k = done_++;
    const GraphNode& node = graph_.nodes[k];
    need(node.op == call.op, "graph: '{}' runs out of turn", name);
    need(node.outputs.size() <= size_t(call.output_count), "'{}' has {} outputs, {} makes {}", name,
         node.outputs.size(), node.op->name, call.output_count);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const GraphValue& v = graph_.values[size_t(node.outputs[i])];
      const Tensor& t = call.outputs[i];
      Shape said;
      for (int axis = 0; axis < v.shape.size(); ++axis)
        said.push_back(v.shape.symbolic >> axis & 1 ? v.shape[axis] * batch_ : v.shape[axis]);
      need(said == t.shape() && v.dtype == t.dtype(), "'{}' is {} {}, the graph says {} {}", v.name,
           t.dtype(), t.shape(), v.dtype, said);
      live_ += int64_t(t.bytes());
    }
    for (const auto* ids : {&node.inputs, &node.outputs})
      for (size_t i = 0; i < ids->size(); ++i) {
        const int id = (*ids)[i];
        const bool first = std::find(ids->begin(), ids->begin() + std::ptrdiff_t(i), id) ==
                           ids->begin() + std::ptrdiff_t(i);
        if (first && last_reader_[size_t(id)] == int(k) &&
            graph_.values[size_t(id)].kind == ValueKind::computed)
          live_ -= bytes_of(graph_.values[size_t(id)]);
      }
    budget_.left = bytes_ - live_;
  }

 private:
  template <class... Args>
  static void need(bool ok, std::string_view what, const Args&... args) {
    check(ok, ErrorCode::bad_input, what, args...);
  }
  int64_t bytes_of(const GraphValue& v) const {  // of a value that was held against its tensor
    int64_t n = int64_t(size_of(v.dtype));
    for (int axis = 0; axis < v.shape.size(); ++axis)
      n *= v.shape.symbolic >> axis & 1 ? v.shape[axis] * batch_ : v.shape[axis];
    return n;
  }

  const Graph& graph_;
  int64_t batch_;
  ShapesOnly& budget_;
  int64_t bytes_, live_ = 0;
  size_t done_ = 0;
  std::vector<int> last_reader_;
};

}  // namespace

void Graph::verify_shapes(int64_t bytes) {
  verify();
  for (const GraphValue& v : values)
    for (int i = 0; i < v.shape.size(); ++i)
      check(v.shape[i] >= 0 && v.shape[i] <= max_extent, ErrorCode::bad_input,
            "graph: '{}' has an axis of {}", v.name, v.shape[i]);
  const DType dtype = values[size_t(input)].dtype;
  for (const int64_t batch : {1, 2}) {
    const Shape shape = input_shape(batch);
    check(shape.rank() > 0, ErrorCode::bad_input, "graph: its input is a scalar");
    check(shape.elements() <= bytes / 8, ErrorCode::bad_input, "graph: its input is {}", shape);
    ShapesOnly budget(bytes);
    ShapeChecker checker(*this, shape[0], budget);
    const RecorderScope scope(&checker);
    forward(Tensor::empty(shape, dtype), Mode::eval);
  }
}

}  // namespace pare
