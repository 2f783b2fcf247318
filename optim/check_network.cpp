#include "optim/check_network.h"

#include <algorithm>

#include "core/error.h"

namespace pare {
namespace {

bool all_zero(const Tensor& tensor) {
  const Tensor t = tensor.to(Device{});
  const auto zeros = [&]<class T>(T) {
    return std::all_of(t.data<T>(), t.data<T>() + t.elements(), [](T v) { return v == T(0); });
  };
  return t.dtype() == DType::f64 ? zeros(double{}) : zeros(float{});
}

}  // namespace

void check_initialized(Module& network, const char* what, int may_be_zero) {
  int zero = 0;
  for (const Param& p : parameters(network)) {
    if (p.inner().mask_kind != MaskKind::none) return;  // it was pruned, to nothing perhaps
    const Tensor w = p.inner().value;
    if (w.rank() < 2 || w.elements() == 0 || !is_float(w.dtype())) continue;
    if (!all_zero(w)) return;
    ++zero;
  }
  check(zero <= may_be_zero,
        "{}: every weight of the network is zero, as its layers were made; call "
        "initialize(network, seed) first",
        what);
}

void check_differentiable(const Graph& graph, const char* what) {
  for (const GraphNode& node : graph.nodes) {
    if (node.op->differentiable) continue;
    for (const auto* ids : {&node.inputs, &node.outputs})
      for (const int id : *ids) {
        const DType dtype = graph.values[size_t(id)].dtype;
        check(dtype != DType::u8 && dtype != DType::i8, ErrorCode::bad_input,
              "{}: the network computes in integers ('{}'), which nothing can train; train the "
              "float model, then quantize it",
              what, node.name);
      }
  }
}

}  // namespace pare
