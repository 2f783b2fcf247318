#include "core/cpu/scratch.h"

#include <cstdlib>
#include <new>

namespace pare::cpu {
namespace {
struct Slots {
  void* data[scratch_slots] = {};
  size_t size[scratch_slots] = {};
  ~Slots() {
    for (void* p : data) std::free(p);
  }
};
}  // namespace

void* scratch(int slot, size_t bytes) {
  thread_local Slots slots;
  if (slots.size[slot] < bytes) {
    std::free(slots.data[slot]);
    slots.size[slot] = (bytes + bytes / 4 + 63) / 64 * 64;
    slots.data[slot] = std::aligned_alloc(64, slots.size[slot]);
    if (!slots.data[slot]) {
      slots.size[slot] = 0;
      throw std::bad_alloc();
    }
  }
  return slots.data[slot];
}

}  // namespace pare::cpu
