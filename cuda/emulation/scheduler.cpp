#include "cuda/emulation/scheduler.h"
#include "cuda/emulation/breakdown.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <vector>

#include "core/denormals.h"
#include "core/random.h"
#include "cuda/emulation/fiber.h"
#include "cuda/emulation/global.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/shared.h"
#include "cuda/failure.h"

namespace pare::cuda::emulation {

Thread* self = nullptr;
Index block_at, block_size, grid_size;
uint32_t epoch = 0, first_epoch = 0;

namespace {

constexpr int warp_size = 32;
using State = Thread::State;

// 0..count-1 in an order of its own for every seed: i -> (start + i * step) mod count, step prime
// to count.
struct Order {
  int64_t count, start, step;
  Order(int64_t n, Rng& rng) : count(n), start(int64_t(rng.below(uint64_t(n)))), step(1) {
    do step = 1 + int64_t(rng.below(uint64_t(n)));
    while (std::gcd(step, n) != 1);
  }
  int64_t operator[](int64_t i) const { return (start + i * step) % count; }
};

uint64_t seed_of_environment() {
  const char* text = std::getenv("PARE_EMULATION_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 1;
}

struct Machine {
  std::mutex mutex;  // one launch at a time
  Rng rng{seed_of_environment()};
  std::vector<Thread> threads;
  std::deque<Fiber> fibers;  // all of them; deque: they never move
  std::vector<Fiber*> idle;
  Fiber scheduler;
  std::exception_ptr error;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  int waiting = 0, done = 0;  // threads at the barrier, and returned
  int64_t next = 0;           // place in `order` of the next thread that never ran
  const Order* order = nullptr;
  Thread* first = nullptr;  // what a fiber begins with
};
Machine& machine() {
  static auto* m = new Machine;
  return *m;
}

// Runs fresh threads to their end, one after another.
void work(Fiber& fiber) {
  entered();
  Machine& m = machine();
  for (;;) {
    for (Thread* t = m.first; t;) {
      self = t;
      t->fiber = &fiber;
      try {
        m.body(m.argument);
      } catch (...) {
        if (!m.error) m.error = std::current_exception();
      }
      t->state = State::done;
      ++m.done;
      t = nullptr;
      while (!m.error && m.next < m.order->count) {
        Thread& candidate = m.threads[size_t((*m.order)[m.next++])];
        if (candidate.state == State::fresh) {
          t = &candidate;
          break;
        }
      }
    }
    m.idle.push_back(&fiber);
    switch_fibers(fiber, m.scheduler);
  }
}

Fiber& idle_fiber(Machine& m) {
  if (m.idle.empty()) {
    m.idle.push_back(&m.fibers.emplace_back());
    start(*m.idle.back(), work);
  }
  Fiber* fiber = m.idle.back();
  m.idle.pop_back();
  return *fiber;
}

bool same_place(const Location& a, const Location& b) {
  return a.line() == b.line() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

void suspend() {
  Thread* me = self;
  switch_fibers(*me->fiber, machine().scheduler);
  self = me;
}

// Nothing can go on: says who waits for whom.
[[noreturn]] void explain_stall(Machine& m) {
  for (Thread& t : m.threads) {
    if (t.state != State::at_warp) continue;
    self = &t;
    const int first = t.number / warp_size * warp_size;
    for (int l = 0; l < warp_size; ++l) {
      if (!(t.mask >> l & 1)) continue;
      const int other = first + l;
      if (other >= int(m.threads.size()))
        fault("the mask names lane " + std::to_string(l) + ", which the block does not have",
              t.where);
      const Thread& o = m.threads[size_t(other)];
      if (o.state == State::at_warp && o.mask == t.mask && same_place(o.where, t.where)) continue;
      const std::string where =
          o.state == State::done ? "has returned" : "waits at " + name_of(o.where);
      fault("lane " + std::to_string(l) + " of the mask is missing: it " + where, t.where);
    }
  }
  for (Thread& t : m.threads)
    if (t.state == State::at_barrier) {
      self = &t;
      for (const Thread& o : m.threads)
        if (o.state == State::done)
          fault("thread " + std::to_string(o.number) + " returned without this barrier", t.where);
    }
  fault("the block stands still", Location::current());
}

void run_block(Machine& m, int threads) {
  m.threads.resize(size_t(threads));
  for (int i = 0; i < threads; ++i) {
    Thread& t = m.threads[size_t(i)];
    t = Thread{};
    t.number = i;
    t.at = {i % block_size.x, i / block_size.x % block_size.y, i / (block_size.x * block_size.y)};
  }
  m.waiting = m.done = 0;
  first_epoch = ++epoch;
  const Order fresh(threads, m.rng);
  m.order = &fresh;
  m.next = 0;
  while (m.next < threads && !m.error) {
    m.first = nullptr;
    Thread& t = m.threads[size_t(fresh[m.next++])];
    if (t.state != State::fresh) continue;
    m.first = &t;
    switch_fibers(m.scheduler, idle_fiber(m));
  }
  while (m.done < threads && !m.error) {
    const Order round(threads, m.rng);
    bool moved = false;
    for (int i = 0; i < threads && !m.error; ++i) {
      Thread& t = m.threads[size_t(round[i])];
      if (t.state != State::ready) continue;
      moved = true;
      switch_fibers(m.scheduler, *t.fiber);
    }
    if (!moved && !m.error) explain_stall(m);
  }
}

// After a fault: fibers in the middle of a thread are begun anew.
void abandon(Machine& m) {
  m.idle.clear();
  for (Fiber& f : m.fibers) {
    start(f, work);
    m.idle.push_back(&f);
  }
  m.error = nullptr;
}

}  // namespace

std::string name_of(const Location& where) {
  const char* file = where.file_name();
  if (const char* cut = std::strstr(file, "/cuda/")) file = cut + 1;
  return std::string(file) + ":" + std::to_string(where.line());
}

void fault(const std::string& what, const Location& where) {
  throw Failure(Status::failed, name_of(where) + ": " + what + " [thread " +
                                    std::to_string(self->number) + " of block " +
                                    std::to_string(block_at.x) + "," + std::to_string(block_at.y) +
                                    "," + std::to_string(block_at.z) + "]");
}

void meet_block(const Location& where) {
  Machine& m = machine();
  Thread& me = *self;
  me.where = where;
  if (++m.waiting < int(m.threads.size())) {
    me.state = State::at_barrier;
    suspend();
    return;
  }
  for (Thread& t : m.threads) {
    if (&t != &me && !same_place(t.where, where))
      fault("thread " + std::to_string(t.number) + " waits at another barrier, " + name_of(t.where),
            where);
    t.state = State::ready;
  }
  m.waiting = 0;
  ++epoch;
}

void meet_warp(uint32_t mask, void* payload, Combine combine, const Location& where) {
  Machine& m = machine();
  Thread& me = *self;
  const int first = me.number / warp_size * warp_size, lane = me.number - first;
  if (!(mask >> lane & 1)) fault("this thread's lane is not in the mask", where);
  me.where = where;
  me.mask = mask;
  me.payload = payload;
  void* payloads[warp_size] = {};
  bool complete = true;
  for (int l = 0; l < warp_size && complete; ++l) {
    if (!(mask >> l & 1)) continue;
    if (l == lane) {
      payloads[l] = payload;
      continue;
    }
    complete = first + l < int(m.threads.size());
    if (!complete) break;
    const Thread& t = m.threads[size_t(first + l)];
    complete = t.state == State::at_warp && t.mask == mask && same_place(t.where, where);
    payloads[l] = t.payload;
  }
  if (!complete) {
    me.state = State::at_warp;
    suspend();
    return;
  }
  combine(payloads, mask);
  for (int l = 0; l < warp_size; ++l)
    if (mask >> l & 1) m.threads[size_t(first + l)].state = State::ready;
}

void run(void (*body)(void*), void* argument, Index grid, Index block, size_t shared_bytes,
         const Location& where) {
  count_launch();
  const FlushDenormals flush;  // fibers keep the running thread's mode
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  const int64_t blocks = int64_t(grid.x) * grid.y * grid.z,
                threads = int64_t(block.x) * block.y * block.z;
  Thread nobody;
  self = &nobody;
  grid_size = grid;
  block_size = block;
  block_at = {};
  if (threads < 1 || threads > 1024 || block.z > 64 || grid.y > 65535 || grid.z > 65535 ||
      grid.x < 0)
    fault("a launch of " + std::to_string(blocks) + " blocks of " + std::to_string(threads) +
              " threads is outside the limits of CUDA",
          where);
  m.body = body;
  m.argument = argument;
  const Order order(blocks, m.rng);
  begin_global();
  try {
    for (int64_t i = 0; i < blocks && !m.error; ++i) {
      const int64_t b = order[i];
      block_at = {int(b % grid.x), int(b / grid.x % grid.y), int(b / grid.x / grid.y)};
      begin_shared(shared_bytes, where);
      run_block(m, int(threads));
    }
  } catch (...) {
    if (!m.error) m.error = std::current_exception();
  }
  self = &nobody;
  const std::string race = end_global();
  if (const std::exception_ptr error = m.error) {
    abandon(m);
    std::rethrow_exception(error);
  }
  check_guards(where);
  if (!race.empty()) throw Failure(Status::failed, name_of(where) + ": " + race);
}

void set_seed(uint64_t seed) { machine().rng = Rng(seed); }

}  // namespace pare::cuda::emulation
