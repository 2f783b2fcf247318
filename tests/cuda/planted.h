// Real kernels with mistakes in them. A test includes this and then the source of a kernel, whose
// calls of the dialect go through the macros below; `planted` says which of them is wrong.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cuda/device.h"
#include "cuda/host.h"
#include "cuda/mma.h"

namespace pare::cuda::planted {

enum class Bug { none, no_barrier, no_wait, shifted_thread, shifted_lane, missing_lane };
inline Bug bug = Bug::none;

template <int Left>
void wait() {
  if (bug != Bug::no_wait) cp_async_wait<Left>();
}
template <class... A>
void mma(A&... a) {
  if (bug != Bug::missing_lane || lane() != 3) mma_u8s8(a...);
}
template <class T>
T sum(T v) {
  return bug == Bug::missing_lane && lane() == 3 ? v : warp_sum(v);
}
inline int x() { return thread_x() + (bug == Bug::shifted_thread); }
inline int l() { return lane() + (bug == Bug::shifted_lane); }
inline void meet(emulation::Location where = emulation::Location::current()) {
  if (bug != Bug::no_barrier) barrier(where);
}

// Whether a test of `got() == want` turns red for a bug, whatever the order of the threads.
inline bool red(Bug planted_bug, const std::function<bool()>& equal) {
  bool every_time = true;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    emulation::set_seed(seed);
    bug = planted_bug;
    try {
      every_time = every_time && !equal();
    } catch (const Failure&) {
    }
    bug = Bug::none;
  }
  return every_time;
}

// Device memory that holds `values`.
template <class T>
struct OnDevice {
  T* p;
  size_t n;
  explicit OnDevice(const std::vector<T>& values)
      : p(static_cast<T*>(emulation::allocate(values.size() * sizeof(T)))), n(values.size()) {
    std::copy(values.begin(), values.end(), p);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { emulation::release(p); }
  std::vector<T> values() const { return {p, p + n}; }
};

}  // namespace pare::cuda::planted

#define barrier() planted::meet()
#define cp_async_wait planted::wait
#define mma_u8s8(...) planted::mma(__VA_ARGS__)
#define warp_sum(v) planted::sum(v)
#define thread_x() planted::x()
#define lane() planted::l()
