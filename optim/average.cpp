#include "optim/average.h"

#include <algorithm>

#include "autograd/ops.h"
#include "core/error.h"

namespace pare {
namespace {

constexpr const char* slot = "average";

std::string name_of(size_t buffer) { return message("average/buffer{}", buffer); }

void follow(const Tensor& average, const Tensor& value, double decay) {
  average.copy_from(average * decay + value * (1 - decay));
}

}  // namespace

WeightAverage::WeightAverage(double decay) : decay_(decay) {
  check(decay > 0 && decay < 1, "average {}, expected a decay between 0 and 1", decay);
}

void WeightAverage::start(const TrainMoment& now) {
  if (now.step == 0) {
    for (Param& p : parameters(now.graph)) p.slot(slot).copy_from(p.value());
    buffers_.clear();
    for (const auto& [name, b] : named_buffers(now.graph)) buffers_.push_back(b.value().clone());
  }
  const size_t count = named_buffers(now.graph).size();
  for (Tensor& b : buffers_) b = b.to(device_of(now.graph));
  check(buffers_.size() == count, ErrorCode::bad_input,
        "the checkpoint holds averages of {} buffers, the network has {}", buffers_.size(), count);
}

void WeightAverage::after_update(const TrainMoment& now) {
  const RecorderScope off(nullptr);
  const double d = std::min(decay_, double(1 + now.step) / double(10 + now.step));
  for (Param& p : parameters(now.graph)) follow(p.slot(slot), p.inner().value, d);
  const auto buffers = named_buffers(now.graph);
  for (size_t i = 0; i < buffers.size(); ++i) follow(buffers_[i], buffers[i].second.value(), d);
}

void WeightAverage::exchange(Graph& graph) {
  for (Param& p : parameters(graph)) std::swap(p.state().value, p.slot(slot));
  const auto buffers = named_buffers(graph);
  for (size_t i = 0; i < buffers.size(); ++i) {
    Buffer b = buffers[i].second;
    Tensor average = buffers_[i];
    buffers_[i] = b.value();
    b.set_value(average);
  }
}

void WeightAverage::save(ContainerWriter& writer) const {
  for (size_t i = 0; i < buffers_.size(); ++i) writer.add(name_of(i), buffers_[i]);
}

void WeightAverage::load(const Container& file) {
  buffers_.clear();
  for (size_t i = 0; file.has(name_of(i)); ++i) buffers_.push_back(file.tensor(name_of(i)));
}

}  // namespace pare
