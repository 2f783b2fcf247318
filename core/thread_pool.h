// One pool of threads for the library. Work is cut into fixed tiles; which thread computes a tile
// never changes its result, so outputs have the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace pare {

constexpr int max_threads = 1024;

int threads();  // threads that compute, the caller included
// 0: as many as the process may run on. Any thread may call it at any time, a tile too: jobs that
// run keep their threads, later ones have the new. Where the system gives fewer, threads() says how
// many. Throws Error{usage} outside 0 to max_threads.
void set_threads(int n);

namespace detail {
using TileFn = void (*)(void* context, int64_t tile);
void parallel_tiles(int64_t tiles, TileFn fn, void* context);
}  // namespace detail

// Calls f(tile) for tile = 0 .. tiles-1, on all threads, and returns when all are done. Nested
// calls run on the calling thread. Denormals count as zero meanwhile. Where f throws, tiles that
// have not begun are left and the caller gets the (first) exception.
template <class F>
void parallel_for(int64_t tiles, F&& f) {
  using Fn = std::remove_reference_t<F>;
  detail::parallel_tiles(
      tiles, [](void* context, int64_t tile) { (*static_cast<Fn*>(context))(tile); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

// Calls f(first, count) over stretches of `length` of n elements, the last one maybe shorter.
template <class F>
void parallel_stretches(int64_t n, int64_t length, F&& f) {
  parallel_for((n + length - 1) / length, [&](int64_t tile) {
    const int64_t first = tile * length;
    f(first, n - first < length ? n - first : length);
  });
}

}  // namespace pare
