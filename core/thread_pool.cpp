#include "core/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/denormals.h"
#include "core/error.h"

namespace pare {
namespace {

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// The processors this thread may run on; none where the system does not say.
cpu_set_t usable_set() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
  return set;
}
int usable_cpus() {
  const cpu_set_t set = usable_set();
  const int count = CPU_COUNT(&set);
  return std::max(1, count ? count : int(std::thread::hardware_concurrency()));
}

thread_local bool inside_pool = false;

struct InsidePool {
  InsidePool() { inside_pool = true; }
  ~InsidePool() { inside_pool = false; }
};

class Pool {
 public:
  // Of fewer threads where the system gives no more.
  explicit Pool(int n) {
    workers_.reserve(size_t(n) - 1);
    try {
      while (size() < n) workers_.emplace_back([this] { work(); });
    } catch (const std::exception&) {
    }
  }
  ~Pool() {
    stop_ = true;
    generation_.fetch_add(1);
    generation_.notify_all();
    for (std::thread& t : workers_) t.join();
  }
  int size() const { return int(workers_.size()) + 1; }

  // One job at a time.
  void run(int64_t tiles, detail::TileFn fn, void* context) {
    const uint32_t job = generation_.load(std::memory_order_relaxed) + 1;
    // Closed while the job's fields change: whoever sees a new field cannot claim with an old word.
    claim_.store(uint64_t(job) << 32 | closed, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    caller_cpu_.store(sched_getcpu(), std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    fn_.store(fn, std::memory_order_release);
    context_.store(context, std::memory_order_release);
    tiles_.store(tiles, std::memory_order_release);
    claim_.store(uint64_t(job) << 32, std::memory_order_release);
    generation_.store(job);
    if (sleepers_.load() > 0) generation_.notify_all();
    take_tiles();
    // Workers that did not come in time are not waited for, only tiles that were begun; a worker
    // that lost its core in the middle of one may need this one.
    for (int i = 0; done_.load(std::memory_order_acquire) < tiles; ++i)
      if (i < 4000)
        pause_briefly();
      else
        std::this_thread::yield();
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  static constexpr uint64_t closed = 0xffffffff;

  // Claims tiles one by one until none is left. A claim holds the job's number: where the exchange
  // succeeds, the job had not ended, so what was read before belongs to it.
  void take_tiles() {
    const FlushDenormals flush;
    const InsidePool inside;
    uint64_t claim = claim_.load(std::memory_order_acquire);
    for (;;) {
      const auto tile = int64_t(claim & closed);
      const detail::TileFn fn = fn_.load(std::memory_order_acquire);
      void* const context = context_.load(std::memory_order_acquire);
      if (tile >= tiles_.load(std::memory_order_acquire)) break;
      if (!claim_.compare_exchange_weak(claim, claim + 1, std::memory_order_acq_rel,
                                        std::memory_order_acquire))
        continue;
      // After a tile has thrown, the others are only counted.
      if (!failed_.load(std::memory_order_relaxed)) {
        try {
          fn(context, tile);
        } catch (...) {
          if (!failed_.exchange(true)) error_ = std::current_exception();
        }
      }
      done_.fetch_add(1, std::memory_order_acq_rel);
      claim = claim_.load(std::memory_order_acquire);
    }
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
      leave_callers_cpu();
      take_tiles();
    }
  }
  // A scheduler may wake a worker on the processor of the thread that woke it, where the two take
  // turns for milliseconds while another processor has room. Such a worker keeps off that one.
  void leave_callers_cpu() {
    const int cpu = caller_cpu_.load(std::memory_order_relaxed);
    if (cpu < 0 || cpu >= CPU_SETSIZE || cpu != sched_getcpu()) return;
    cpu_set_t others = usable_;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) >= size() - 1) sched_setaffinity(0, sizeof others, &others);
  }

  const cpu_set_t usable_ = usable_set();
  std::vector<std::thread> workers_;
  std::atomic<detail::TileFn> fn_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int64_t> tiles_{0}, done_{0};
  std::atomic<uint64_t> claim_{0};   // number of the job, next tile
  std::atomic<bool> failed_{false};  // a tile of the job has thrown
  std::exception_ptr error_;         // what it threw: written before the tile counts as done
  std::atomic<int> sleepers_{0}, caller_cpu_{-1};
  std::atomic<uint32_t> generation_{0};
  std::atomic<bool> stop_{false};
};

std::atomic<int> wanted{0};  // threads; 0: not asked for yet
std::mutex one_job;          // held while a job runs, and while the pool changes
Pool* pool = nullptr;        // never destroyed: jobs may run while the process ends

int threads_wanted() {
  int n = wanted.load(std::memory_order_relaxed);
  if (n == 0 && wanted.compare_exchange_strong(n, std::min(usable_cpus(), max_threads))) n = wanted;
  return n;
}

// Makes the pool have the threads that are wanted. Needs the lock.
void adapt_pool() {
  const int n = threads_wanted();
  if (pool && pool->size() == n) return;
  delete std::exchange(pool, nullptr);
  pool = new Pool(n);
  int asked = n;
  wanted.compare_exchange_strong(asked, pool->size());
}

}  // namespace

int threads() { return threads_wanted(); }

// Whoever runs a job keeps its pool, so the change waits for the end of the job that runs now:
// here, where none does, else at the beginning of the next.
void set_threads(int n) {
  check(n >= 0 && n <= max_threads, "{} threads, expected 0 (all processors) to {}", n,
        max_threads);
  wanted = n > 0 ? n : std::min(usable_cpus(), max_threads);
  if (inside_pool) return;
  if (const std::unique_lock lock(one_job, std::try_to_lock); lock) adapt_pool();
}

void detail::parallel_tiles(int64_t tiles, TileFn fn, void* context) {
  if (tiles <= 0) return;
  if (inside_pool || tiles == 1) {
    const FlushDenormals flush;
    for (int64_t tile = 0; tile < tiles; ++tile) fn(context, tile);
    return;
  }
  const std::lock_guard lock(one_job);
  adapt_pool();
  pool->run(tiles, fn, context);
}

}  // namespace pare
