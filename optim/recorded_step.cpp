#include "optim/recorded_step.h"

#include "autograd/run.h"
#include "core/random.h"

namespace pare {

void RecordedStep::look_at(const Batch& batch) {
  now_.clear();
  const auto add = [&](const Tensor& t) { now_.push_back(t.defined() ? t.raw() : nullptr); };
  add(batch.images);
  add(batch.labels);
  for (const Param& p : params_) {
    add(p.inner().value);
    add(p.inner().grad);
    add(p.inner().mask);
  }
  for (const Buffer& b : buffers_) add(b.value());
}

// By kernels that are queued, which nothing waits for.
void RecordedStep::write_key() const {
  const RunKey run = run_key();
  const uint64_t key = mix_keys(run.seed, run.step);
  for (int64_t half = 0; half < 2; ++half)
    key_.rows(half, half + 1).fill(double(int32_t(uint32_t(key >> (32 * half)))));
}

void RecordedStep::run(Graph& graph, const Batch& batch, const std::function<void()>& work) {
  const Device device = batch.images.device();
  if (!refusal_.empty() || !DeviceGraph::supported(device)) return work();
  if (params_.empty()) {
    params_ = parameters(graph);
    for (const auto& [name, b] : named_buffers(graph)) buffers_.push_back(b);
  }
  look_at(batch);
  if (now_ != last_) {
    std::swap(now_, last_);
    recorded_.drop();
    return work();
  }
  if (!recorded_.recorded()) {
    key_ = Tensor::empty({2}, DType::i32, Format::plain, device);
    const RecordedRunKeyScope key(static_cast<const uint64_t*>(key_.raw()));
    refusal_ = recorded_.record(device, work);
    if (!key.used()) key_ = Tensor();
    with_gradient_.clear();
    for (Param& p : params_) {
      if (p.has_grad()) with_gradient_.push_back(p);
      p.clear_grad();
    }
    if (!refusal_.empty()) return work();
  }
  for (const Param& p : params_) p.uphold_mask(true);  // as the forward pass that was recorded did
  if (key_.defined()) write_key();
  recorded_.replay();
  ++replays_;
  for (const Param& p : with_gradient_) p.inner().has_grad = true;
}

}  // namespace pare
