// Emulated device memory. A block that is handed out holds what no kernel computes (stale_byte);
// what lies beyond its bytes is poisoned under the address sanitizer, and otherwise holds the same,
// which is looked at after each launch.
#pragma once

#include <cstddef>

#include "cuda/emulation/scheduler.h"

namespace pare::cuda::emulation {

void* allocate(size_t bytes);  // null when the emulated memory is used up
void release(void* block);
void lend(void* block, size_t bytes, size_t capacity);
void reclaim(void* block, size_t capacity);

// Byte `offset` of memory that nobody wrote. Words are 0x7ff8 and 16 bits of noise: NaN as f32, f64
// and rounded to tf32 or bf16 (all ones would be carried to zero by a rounding in integers), out of
// range as an index, and bytes that differ from their neighbours'.
unsigned char stale_byte(size_t offset);

// Throws where a kernel wrote outside of a block.
void check_guards(const Location& where);
// The block whose pages (page_bytes each, which it has to itself) `p` lies on, guards included: of
// `capacity` bytes, of which `lent` are somebody's. begin is null where there is none.
constexpr size_t page_bytes = 4096;
struct DeviceBlock {
  const char* begin = nullptr;
  size_t lent = 0, capacity = 0;
};
DeviceBlock device_block(const void* p);
// Whether `p` lies in memory of the device: kernels can follow no other pointer.
bool on_device(const void* p);

// What the emulated GPU is: $PARE_EMULATED_CAPABILITY (75, 80, 86, 89, 90; default 90) and the
// shared memory a block has there.
int capability();
size_t shared_limit();

}  // namespace pare::cuda::emulation
