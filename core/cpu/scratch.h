// Working memory of kernels: grow-only, 64-byte aligned, one set of slots per thread.
#pragma once

#include <cstddef>

namespace pare::cpu {

constexpr int scratch_slots = 6;
// At least `bytes` bytes, valid until the same slot of the same thread is asked for more.
void* scratch(int slot, size_t bytes);
template <class T>
T* scratch_of(int slot, size_t count) {
  return static_cast<T*>(scratch(slot, count * sizeof(T)));
}

}  // namespace pare::cpu
