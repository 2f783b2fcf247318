// Fibers: stacks that one operating-system thread switches between. Hand-written on x86-64,
// ucontext elsewhere; the address sanitizer is told of every switch.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace pare::cuda::emulation {

struct Fiber {
  char* stack = nullptr;
  size_t size = 0;
  void (*entry)(Fiber&) = nullptr;
  void* stack_pointer = nullptr;
  // What the address sanitizer wants to know.
  const void* bottom = nullptr;
  size_t bottom_size = 0;
  void* fake_stack = nullptr;
#if !defined(__x86_64__)
  ucontext_t context;
#endif

  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();
};

// Gives the fiber a stack if it has none; the next switch to it calls entry(fiber), which never
// returns. What its stack held is forgotten.
void start(Fiber& fiber, void (*entry)(Fiber&));
// Goes on in `to`; returns when something switches back to `from`, which must be the running one.
void switch_fibers(Fiber& from, Fiber& to);
// The first thing an entry calls.
void entered();

}  // namespace pare::cuda::emulation
