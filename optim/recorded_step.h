// RecordedStep: the device's part of a training step, recorded at the second step that works on the
// same tensors and replayed from then on, so that the host queues one piece of work instead of
// hundreds of kernels. Results are those of the kernels run one by one, to the bit.
//
// What changes between steps stays outside or in tensors: the batch is made in the same tensors,
// the key of random numbers (seed and step) is written to one before each replay, and the learning
// rate, the count of steps and the factor of clipping belong to the update, which follows it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/graph.h"
#include "core/device_graph.h"
#include "datasets/loader.h"

namespace pare {

class RecordedStep {
 public:
  // Runs `work`, which computes gradients of `graph` from `batch`, now or by a replay. Always of
  // one graph, whose nodes stay as they are.
  void run(Graph& graph, const Batch& batch, const std::function<void()>& work);
  int64_t replays() const { return replays_; }
  const std::string& refusal() const { return refusal_; }  // why it cannot be recorded; "" so far

 private:
  void look_at(const Batch& batch);
  void write_key() const;
  DeviceGraph recorded_;
  std::vector<Param> params_;
  std::vector<Buffer> buffers_;
  std::vector<const void*> last_, now_;  // the tensors that a step works on
  std::vector<Param> with_gradient_;
  Tensor key_;  // mix_keys(seed, step) as two halves, low first; undefined where nothing is drawn
  std::string refusal_;
  int64_t replays_ = 0;
};

}  // namespace pare
