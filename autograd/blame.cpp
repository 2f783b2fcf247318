#include "autograd/blame.h"

#include <cmath>
#include <limits>
#include <set>

#include "autograd/graph.h"
#include "core/backend.h"
#include "core/cpu/kernels/kernels.h"
#include "core/element.h"

namespace pare {
namespace {

bool holds_nan(const Tensor& tensor) {
  if (all_finite(tensor)) return false;
  for (const double v : tensor.to_vector<double>())
    if (std::isnan(v)) return true;
  return false;
}

// Names the first node of a run whose output is not finite, else the one with the largest.
class Finder : public Recorder {
 public:
  std::string node;
  bool found = false;
  bool needs_names() const override { return true; }
  void record(Call& call, std::span<const Tensor>, std::string_view name) override {
    for (int i = 0; !found && i < call.output_count; ++i) {
      const Tensor& out = call.outputs[size_t(i)];
      if (!is_float(out.dtype())) continue;
      for (const double v : out.to_vector<double>()) {
        if (std::abs(v) <= largest_) continue;
        found = !std::isfinite(v);
        largest_ = found ? std::numeric_limits<double>::infinity() : std::abs(v);
        node = name;
      }
    }
  }

 private:
  double largest_ = 0;
};

// Buffers of batch norms: an infinite variance hides behind finite answers.
std::set<std::string> norm_statistics(Module& network) {
  std::set<std::string> names;
  if (const auto* graph = dynamic_cast<const Graph*>(&network))
    for (const GraphNode& node : graph->nodes)
      if (node.op->coupling == Coupling::per_channel)
        for (const int b : node.buffers) names.insert(graph->buffers[size_t(b)].name);
  return names;
}

}  // namespace

bool all_finite(const Tensor& tensor) {
  if (!tensor.defined() || !is_float(tensor.dtype())) return true;
  const Tensor t = tensor.to(Device{});
  return t.dtype() == DType::f64 ? cpu::loops<double>().all_finite(t.data<double>(), t.elements())
                                 : cpu::loops<float>().all_finite(t.data<float>(), t.elements());
}

std::string not_finite_in(Module& network) {
  for (const auto& [name, p] : named_parameters(network))
    if (!all_finite(p.masked_value())) return name;
  const auto of_norms = norm_statistics(network);
  for (const auto& [name, b] : named_buffers(network))
    if (of_norms.contains(name) ? !all_finite(b.value()) : holds_nan(b.value())) return name;
  return {};
}

std::string blame(Module& network, const Tensor& x, Mode mode) {
  if (!all_finite(x)) return "its input holds values that are not finite";
  Finder finder;
  {
    const RecorderScope scope(&finder);
    network(x, mode);
  }
  const std::string state = not_finite_in(network);
  return message("it is '{}' that {}{}", finder.node,
                 finder.found ? "is the first to give values that are not finite" : "blows up",
                 state.empty() ? "" : message(", and '{}' holds such values itself", state));
}

void check_parameters(Module& network, const char* who, ErrorCode code) {
  if (const std::string name = not_finite_in(network); !name.empty())
    fail(code, "{} gives no answers: '{}' holds values that are not finite", who, name);
}

void check_answer(Module& network, const Tensor& x, const Tensor& answer, const char* who,
                  ErrorCode code) {
  if (!all_finite(answer))
    fail(code, "{} answers with numbers that are not finite: {}", who, blame(network, x));
}

}  // namespace pare
