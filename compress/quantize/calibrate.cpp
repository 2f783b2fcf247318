#include "compress/quantize/calibrate.h"

#include <algorithm>
#include <cmath>

namespace pare {
namespace {

// Watches a replay and widens the range of each output it sees.
class RangeRecorder : public Recorder {
 public:
  RangeRecorder(const Graph& graph, std::map<std::string, ObservedRange>& ranges)
      : graph_(graph), ranges_(ranges) {}

  void record(Call& call, std::span<const Tensor>, std::string_view node_name) override {
    const int k = graph_.find_node(node_name);
    if (k < 0) return;
    const auto& outputs = graph_.nodes[size_t(k)].outputs;
    for (size_t i = 0; i < outputs.size() && int(i) < call.output_count; ++i)
      widen(graph_.values[size_t(outputs[i])].name, call.outputs[i]);
  }

  void widen(const std::string& name, const Tensor& value) {
    if (value.dtype() != DType::f32) return;
    const Tensor t = value.to(Device{});
    ObservedRange& r = ranges_[name];
    const float* x = t.data<float>();
    bool finite = true;
    for (int64_t i = 0; i < t.elements(); ++i) {
      finite &= std::isfinite(x[i]);
      r.low = std::min(r.low, x[i]);
      r.high = std::max(r.high, x[i]);
    }
    check(finite, ErrorCode::bad_input,
          "calibrate: '{}' holds values that are not finite; quantization needs a network that "
          "gives finite values on the calibration data",
          name);
  }

 private:
  const Graph& graph_;
  std::map<std::string, ObservedRange>& ranges_;
};

}  // namespace

std::map<std::string, ObservedRange> calibrate(Graph& graph, const std::vector<Tensor>& batches) {
  check(!batches.empty() && batches.front().elements() > 0, ErrorCode::bad_input,
        "calibrate: no data; give at least one batch with one image");
  std::map<std::string, ObservedRange> ranges;
  RangeRecorder recorder(graph, ranges);
  for (const Tensor& x : batches) {
    recorder.widen(graph.values[size_t(graph.input)].name, x);
    const RecorderScope scope(&recorder);
    graph.forward(x, Mode::eval);
  }
  return ranges;
}

}  // namespace pare
