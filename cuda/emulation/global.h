// Races in global memory. Kernels compiled with -fsanitize=thread call __tsan_read4 and the like
// for every access that another thread could see; the functions of that name are ours (global.cpp).
// They keep beside each element of device memory who wrote and who read it last in this launch, and
// tell
//
//   - two blocks of one launch of which one writes what the other reads or writes: blocks run in no
//     order, and on a GPU at once;
//   - two warps of a block that do so with no barrier between;
//   - an access outside of a block, or to one that nobody holds.
//
// Where kernels are compiled without it (PARE_EMULATION_RACES, the sanitizers), nothing is told.
#pragma once

#include <cstddef>
#include <string>

#include "cuda/emulation/shared.h"

namespace pare::cuda::emulation {

// A launch begins, and ends: what was found, "" for nothing. Outside of one nothing is looked at.
void begin_global();
std::string end_global();
// An access of the running thread to global memory, for those that the compiler does not announce.
void touch_global(const void* p, size_t bytes, Access access);
// While one lives accesses are atomic: they do not race with each other, and are not looked at.
class Atomically {
 public:
  Atomically();
  ~Atomically();
  Atomically(const Atomically&) = delete;
  Atomically& operator=(const Atomically&) = delete;

 private:
  bool was_on_;
};
// The device's block at `begin` went.
void forget_global(const char* begin);

}  // namespace pare::cuda::emulation
