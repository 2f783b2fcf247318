// The emulated multiprocessor: one block at a time, threads and blocks in permuted order.
//
// Threads run one after another on one fiber; a thread that waits (barrier, shuffle) keeps its
// fiber and the rest go on with another, so kernels that never wait run as plain loops. Faults (a
// thread that misses a barrier, a lane that misses a shuffle) throw Failure out of the launch,
// naming the place in the kernel and the threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>

namespace pare::cuda::emulation {

using Location = std::source_location;

struct Index {
  int x = 0, y = 0, z = 0;
};

struct Fiber;
struct Thread {
  enum class State : uint8_t { fresh, ready, at_barrier, at_warp, done };
  Index at;
  int number = 0;  // in the block, x fastest
  State state = State::fresh;
  Location where;              // the collective it waits at
  uint32_t mask = 0;           // the lanes that must meet there
  void* payload = nullptr;     // what it brings
  uint32_t warp_barriers = 0;  // that it passed
  Fiber* fiber = nullptr;
};

// The running thread and where it is. Written by the scheduler alone.
extern Thread* self;
extern Index block_at, block_size, grid_size;
// Barriers passed since the program began, by any block: shared memory of different epochs never
// conflicts. `first_epoch` is the running block's first.
extern uint32_t epoch, first_epoch;

// All threads of the block meet.
void meet_block(const Location& where);
// The lanes of `mask` meet; the last to come calls combine(payloads by lane, mask).
using Combine = void (*)(void* const* payloads, uint32_t mask);
void meet_warp(uint32_t mask, void* payload, Combine combine, const Location& where);

// Runs body(argument) for every thread of every block.
void run(void (*body)(void*), void* argument, Index grid, Index block, size_t shared_bytes,
         const Location& where);

// Decides the order of threads and blocks; each launch takes the next order that follows.
void set_seed(uint64_t seed);

// Throws Failure: `what`, the place, the running thread and block.
[[noreturn]] void fault(const std::string& what, const Location& where);
std::string name_of(const Location& where);  // "cuda/pointwise.cu:31"

}  // namespace pare::cuda::emulation
