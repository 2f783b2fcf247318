#include <array>
#include <cstring>

#include "compress/plan/state.h"

namespace pare::plan {
namespace {

Shape at_batch(const Ints& ints, int64_t batch) {
  Shape s;
  for (int i = 0; i < ints.size(); ++i)
    s.push_back(ints.symbolic >> i & 1 ? ints[i] * batch : ints[i]);
  return s;
}

class GraphStep : public Step {
 public:
  GraphStep(const Graph& graph, const GraphNode& node, size_t which, std::vector<Tensor> known)
      : node_(node), which_(which), known_(std::move(known)) {
    for (const int id : node.inputs) {
      const GraphValue& v = graph.values[size_t(id)];
      shapes_.push_back(v.shape);
      dtypes_.push_back(v.dtype);
    }
    const GraphValue& y = graph.values[size_t(node.outputs[which_])];
    output_shape_ = y.shape;
    for (const int b : node.buffers) buffers_.push_back(graph.buffers[size_t(b)].buffer);
    kernel = std::string("the graph's own ") + node.op->name;
  }

  void run(const Frame& f, int64_t, int64_t) const override {
    std::array<Tensor, 16> in;
    std::array<Tensor, max_outputs> out;
    std::array<Buffer, 4> held;
    std::array<Buffer*, 4> pointers{};
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (known_[i].defined()) {
        in[i] = known_[i];
        continue;
      }
      in[i] = Tensor::empty(at_batch(shapes_[i], f.images), dtypes_[i]);
      std::memcpy(in[i].raw(), f.at[inputs[i]], in[i].bytes());
    }
    for (size_t i = 0; i < buffers_.size(); ++i) {
      held[i] = buffers_[i];
      pointers[i] = &held[i];
    }
    Attrs attrs = node_.attrs;
    for (Attrs::Entry& e : attrs) {
      for (int i = 0; i < e.ints.count; ++i)
        if (e.ints.symbolic >> i & 1) e.ints.values[i] *= f.images;
      e.ints.symbolic = 0;
    }
    ApplyOptions options;
    options.buffers = {pointers.data(), buffers_.size()};
    options.node_name = node_.name;
    const RecorderScope unrecorded(nullptr);
    apply(*node_.op, {in.data(), inputs.size()}, attrs, out, options);
    const Tensor y = out[which_].plain();
    check(y.shape() == at_batch(output_shape_, f.images), ErrorCode::bad_input,
          "plan: '{}' gave {}, the graph says {}", node_.name, y.shape(),
          at_batch(output_shape_, f.images));
    std::memcpy(f.at[output], y.raw(), y.bytes());
  }

 private:
  GraphNode node_;
  size_t which_;
  std::vector<Tensor> known_;  // by input; undefined: computed
  std::vector<Ints> shapes_;
  std::vector<DType> dtypes_;
  std::vector<Buffer> buffers_;
  Ints output_shape_;
};

}  // namespace

StepPtr graph_step(const Graph& graph, const GraphNode& node, size_t output,
                   std::vector<Tensor> known) {
  return std::make_unique<GraphStep>(graph, node, output, std::move(known));
}

}  // namespace pare::plan
