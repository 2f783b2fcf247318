// Emulated device memory. A block that is handed out holds NaN bytes; what lies beyond its bytes is
// poisoned under the address sanitizer, and otherwise filled with a pattern that is looked at after
// each launch.
#pragma once

#include <cstddef>

#include "cuda/emulation/scheduler.h"

namespace pare::cuda::emulation {

void* allocate(size_t bytes);  // null when the emulated memory is used up
void release(void* block);
void lend(void* block, size_t bytes, size_t capacity);
void reclaim(void* block, size_t capacity);

// Throws where a kernel wrote outside of a block.
void check_guards(const Location& where);
// Whether `p` lies in memory of the device: kernels can follow no other pointer.
bool on_device(const void* p);

// What the emulated GPU is: $PARE_EMULATED_CAPABILITY (75, 80, 86, 89, 90; default 90) and the
// shared memory a block has there.
int capability();
size_t shared_limit();

}  // namespace pare::cuda::emulation
