// PARE_ASAN: whether the address sanitizer watches; poison() and unpoison() do nothing without it.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define PARE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PARE_ASAN 1
#endif
#endif
#ifndef PARE_ASAN
#define PARE_ASAN 0
#endif

#if PARE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace pare::cuda::emulation {

inline void poison([[maybe_unused]] void* p, [[maybe_unused]] size_t bytes) {
#if PARE_ASAN
  __asan_poison_memory_region(p, bytes);
#endif
}
inline void unpoison([[maybe_unused]] void* p, [[maybe_unused]] size_t bytes) {
#if PARE_ASAN
  __asan_unpoison_memory_region(p, bytes);
#endif
}

}  // namespace pare::cuda::emulation
