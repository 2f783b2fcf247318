#include "compress/plan/plan.h"

#include <algorithm>

#include "compress/plan/parts.h"
#include "compress/plan/state.h"
#include "core/thread_pool.h"

namespace pare {
namespace {

// About what the arena of one frame may take, so that it stays in a core's cache.
constexpr int64_t cache_bytes = 1 << 20;

}  // namespace

int64_t plan::parts_for(int64_t macs, int64_t most, int64_t worth) {
  return std::clamp<int64_t>(macs / worth, 1, std::min<int64_t>(most, threads()));
}

Plan::Plan(std::unique_ptr<State> state) : state_(std::move(state)) {}
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;
Plan::~Plan() = default;

void Plan::State::prepare(Workspace& w, int64_t images) const {
  w.at.resize(places.size());
  const int64_t bytes = std::max<int64_t>(arena_bytes * images, 1);
  if (!w.arena.defined() || w.arena.elements() < bytes) w.arena = Tensor::empty({bytes}, DType::u8);
}

// All at once, so that a run that meets a second worker late does not allocate then.
void Plan::State::reserve(int64_t count, int64_t images) {
  const std::lock_guard lock(mutex);
  while (int64_t(spare.size()) < count) spare.push_back(std::make_unique<Workspace>());
  for (const auto& w : spare) prepare(*w, images);
}

std::unique_ptr<Plan::State::Workspace> Plan::State::take(int64_t images) {
  std::unique_ptr<Workspace> w;
  {
    const std::lock_guard lock(mutex);
    if (!spare.empty()) {
      w = std::move(spare.back());
      spare.pop_back();
    }
  }
  if (!w) w = std::make_unique<Workspace>();
  prepare(*w, images);
  return w;
}

void Plan::State::give(std::unique_ptr<Workspace> workspace) {
  const std::lock_guard lock(mutex);
  spare.push_back(std::move(workspace));
}

std::unique_ptr<Plan::State::Workspace> Plan::State::bind(const std::byte* x, std::byte* y,
                                                          int64_t images) {
  std::unique_ptr<Workspace> w = take(images);
  for (size_t v = 0; v < places.size(); ++v) {
    const Place& p = places[v];
    switch (p.kind) {
      case Kind::input:
        w->at[v] = const_cast<std::byte*>(x);  // steps read their inputs only
        break;
      case Kind::output:
        w->at[v] = y;
        break;
      case Kind::arena:
        w->at[v] = w->arena.data<std::byte>() + p.offset * images;
        break;
      case Kind::constant:
        w->at[v] = static_cast<std::byte*>(p.constant.raw());
        break;
      case Kind::alias:
      case Kind::unused:
        break;
    }
  }
  for (size_t v = 0; v < places.size(); ++v)
    if (places[v].kind == Kind::alias) w->at[v] = w->at[size_t(places[v].alias)];
  return w;
}

int64_t Plan::State::frames_of(int64_t batch) const {
  const int64_t workers = threads();
  if (!splits || plan::shares_steps(batch)) return 1;
  const int64_t fitting = std::max<int64_t>(cache_bytes / std::max<int64_t>(arena_bytes, 1), 4);
  const int64_t frames = (batch + fitting - 1) / fitting;
  return std::min(batch, (frames + workers - 1) / workers * workers);
}

void Plan::State::run_images(const std::byte* x, std::byte* y, int64_t images, bool cut_steps) {
  std::unique_ptr<Workspace> w = bind(x, y, images);
  const plan::Frame frame{images, w->at.data()};
  for (const plan::StepPtr& step : steps) {
    const int64_t parts = cut_steps ? step->parts(images) : 1;
    if (parts == 1)
      step->run(frame, 0, 1);
    else
      parallel_for(parts, [&](int64_t part) { step->run(frame, part, parts); });
  }
  give(std::move(w));
}

void Plan::State::run(const Tensor& images, Tensor& out) {
  const Ints& expected = input_shape;
  check(images.rank() == expected.size() && images.dtype() == input_dtype,
        "the plan takes {} with {} axes, the input is {} {}", input_dtype, expected.size(),
        images.dtype(), images.shape());
  const int64_t batch = images.size(0);
  for (int i = 1; i < images.rank(); ++i)
    check(images.size(i) == expected[i], "the plan takes {} on axis {}, the input is {}",
          expected[i], i, images.shape());
  check(batch >= 0 && images.device() == Device{}, "the plan runs on the CPU, the input is on {}",
        to_string(images.device()));
  const Tensor x = images.plain();
  Shape shape;
  for (int i = 0; i < output_shape.size(); ++i)
    shape.push_back(output_shape.symbolic >> i & 1 ? output_shape[i] * batch : output_shape[i]);
  const bool fits = out.defined() && out.shape() == shape && out.dtype() == output_dtype &&
                    out.format() == Format::plain && out.device() == Device{} && out.unique();
  if (!fits) out = Tensor::empty(shape, output_dtype);
  if (batch == 0) return;
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  const int64_t workers = threads();
  if (frames_of(batch) == 1)
    // Every step is cut instead; the tile that holds one call flushes denormals as others do.
    return workers == 1 ? parallel_for(1, [&](int64_t) { run_images(from, to, batch, false); })
                        : run_images(from, to, batch, true);
  const int64_t frames = frames_of(batch);
  reserve(std::min(workers, frames), (batch + frames - 1) / frames);
  const auto in_size = int64_t(x.bytes()) / batch, out_size = int64_t(out.bytes()) / batch;
  parallel_for(frames, [&](int64_t i) {
    const int64_t first = batch * i / frames, last = batch * (i + 1) / frames;
    run_images(from + first * in_size, to + first * out_size, last - first, false);
  });
}

void Plan::run(const Tensor& x, Tensor& out) const { state_->run(x, out); }
Tensor Plan::operator()(const Tensor& x) const {
  Tensor out;
  run(x, out);
  return out;
}

// First fit: each value, in the order of its making, goes to the lowest gap among those alive with
// it.
void Plan::State::place_values() {
  struct Life {
    int value;
    int first, last;
  };
  std::vector<int> made(places.size(), -1), read(places.size(), -1);
  const auto root = [&](int v) {
    while (places[size_t(v)].kind == Kind::alias) v = places[size_t(v)].alias;
    return size_t(v);
  };
  for (size_t k = 0; k < steps.size(); ++k) {
    made[root(steps[k]->output)] = int(k);
    read[root(steps[k]->output)] = int(k);
    for (const int v : steps[k]->inputs) read[root(v)] = int(k);
  }
  std::vector<Life> placed;
  for (const plan::StepPtr& step : steps) {
    const size_t v = root(step->output);
    Place& p = places[v];
    if (p.kind != Kind::arena) continue;
    const int64_t size = (p.bytes + 63) / 64 * 64;
    int64_t offset = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (const Life& l : placed) {
        const Place& other = places[size_t(l.value)];
        const int64_t end = other.offset + (other.bytes + 63) / 64 * 64;
        const bool together = l.last >= made[v] && read[v] >= l.first;
        if (together && offset < end && other.offset < offset + size) {
          offset = end;
          moved = true;
        }
      }
    }
    p.offset = offset;
    placed.push_back({int(v), made[v], read[v]});
    arena_bytes = std::max(arena_bytes, offset + size);
  }
}

std::string Plan::describe() const {
  std::string text;
  for (const plan::StepPtr& step : state_->steps)
    text += message("{}: {}\n", step->name, step->kernel);
  if (!state_->account.empty()) text += message("the whole plan: {}\n", state_->account);
  return text;
}
SparseLayers Plan::sparse_layers() const {
  SparseLayers found;
  found.overruled = state_->overruled;
  for (const plan::StepPtr& step : state_->steps) {
    if (step->zeros == plan::ZerosUse::sparse) found.sparse.push_back(step->name);
    if (step->zeros == plan::ZerosUse::dense_won) found.dense_won.push_back(step->name);
    if (step->zeros == plan::ZerosUse::conversions_cost)
      found.conversions_cost.push_back(step->name);
  }
  return found;
}
int64_t Plan::arena_bytes() const { return state_->arena_bytes; }
int64_t Plan::packed_bytes() const {
  int64_t bytes = 0;
  for (const plan::StepPtr& step : state_->steps) bytes += step->packed_bytes();
  return bytes;
}
std::vector<std::string> Plan::fallbacks() const { return state_->fallbacks; }

}  // namespace pare
