#include "core/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pare {
namespace {

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// Flush-to-zero and denormals-are-zero for a scope: denormals cost up to 20x and teach nothing.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#endif
};

int usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, int(std::thread::hardware_concurrency()));
}

thread_local bool inside_pool = false;

class Pool {
 public:
  explicit Pool(int n) {
    for (int i = 1; i < n; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    stop_ = true;
    generation_.fetch_add(1);
    generation_.notify_all();
    for (std::thread& t : workers_) t.join();
  }
  int size() const { return int(workers_.size()) + 1; }

  void run(int64_t tiles, detail::TileFn fn, void* context) {
    const std::lock_guard lock(one_job_);
    fn_ = fn;
    context_ = context;
    tiles_ = tiles;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(int(workers_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1);
    if (sleepers_.load() > 0) generation_.notify_all();
    take_tiles();
    while (busy_.load(std::memory_order_acquire) > 0) pause_briefly();
  }

 private:
  void take_tiles() {
    const FlushDenormals flush;
    inside_pool = true;
    for (;;) {
      const int64_t tile = next_.fetch_add(1, std::memory_order_relaxed);
      if (tile >= tiles_) break;
      fn_(context_, tile);
    }
    inside_pool = false;
  }
  void work() {
    uint32_t seen = 0;
    for (;;) {
      // Spin for some tens of microseconds: the next op of a step comes sooner than a wake-up.
      for (int i = 0; i < 2000 && generation_.load(std::memory_order_acquire) == seen; ++i)
        pause_briefly();
      while (generation_.load() == seen) {
        sleepers_.fetch_add(1);
        generation_.wait(seen);
        sleepers_.fetch_sub(1);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      take_tiles();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex one_job_;
  detail::TileFn fn_ = nullptr;
  void* context_ = nullptr;
  int64_t tiles_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int> busy_{0}, sleepers_{0};
  std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stop_{false};
};

std::mutex pool_mutex;
std::unique_ptr<Pool>& pool() {
  static std::unique_ptr<Pool> p;
  return p;
}

Pool& ready_pool() {
  const std::lock_guard lock(pool_mutex);
  if (!pool()) pool() = std::make_unique<Pool>(usable_cpus());
  return *pool();
}

}  // namespace

int threads() { return ready_pool().size(); }

void set_threads(int n) {
  const std::lock_guard lock(pool_mutex);
  pool() = std::make_unique<Pool>(std::clamp(n <= 0 ? usable_cpus() : n, 1, 64));
}

void detail::parallel_tiles(int64_t tiles, TileFn fn, void* context) {
  if (tiles <= 0) return;
  if (inside_pool || tiles == 1) {
    const FlushDenormals flush;
    for (int64_t tile = 0; tile < tiles; ++tile) fn(context, tile);
    return;
  }
  ready_pool().run(tiles, fn, context);
}

}  // namespace pare
