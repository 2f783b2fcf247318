// Where the time of a plan goes, step by step.
#include <chrono>

#include "compress/plan/state.h"
#include "core/thread_pool.h"

namespace pare {

std::vector<StepTime> Plan::profile(const Tensor& x) const {
  State& s = *state_;
  Tensor out;
  s.run(x, out);  // judges x and gives `out` its shape
  std::vector<StepTime> times;
  for (const plan::StepPtr& step : s.steps) times.push_back({step->name, step->kernel, {}, 0});
  const int64_t batch = x.size(0);
  if (batch == 0) return times;
  const Tensor images = x.plain();
  const auto* from = static_cast<const std::byte*>(images.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  const auto in_size = int64_t(images.bytes()) / batch, out_size = int64_t(out.bytes()) / batch;
  const int64_t frames = s.frames_of(batch);
  for (size_t k = 0; k < times.size(); ++k) times[k].form = s.steps[k]->form_for(batch / frames);
  // Inside the pool, whose threads flush denormals.
  parallel_for(1, [&](int64_t) {
    for (int64_t i = 0; i < frames; ++i) {
      const int64_t first = batch * i / frames, last = batch * (i + 1) / frames;
      auto w = s.bind(from + first * in_size, to + first * out_size, last - first);
      const plan::Frame frame{last - first, w->at.data()};
      for (size_t k = 0; k < times.size(); ++k) {
        const auto start = std::chrono::steady_clock::now();
        s.steps[k]->run(frame, 0, 1);
        times[k].micros +=
            std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
                .count();
      }
      s.give(std::move(w));
    }
  });
  return times;
}

}  // namespace pare
