// Races in global memory: planted ones are told, what CUDA orders is not. This file is compiled as
// the plug-in's kernels are, so that its accesses are seen (cuda/emulation/global.h).
#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "cuda/device.h"
#include "tests/cuda/device_array.h"

using namespace pare;
using namespace pare::cuda;
using pare::testing::DeviceArray;

TEST_SUITE_BEGIN("emulated");

#if defined(__SANITIZE_THREAD__)
namespace {

enum class Bug { none, same_element, reads_neighbour, no_barrier, too_far, after_end };

// y[i] = x[i] + 1; each block its own elements.
PARE_KERNEL void own_kernel(const float* x, float* y, int n, Bug bug) {
  const int i = int(global_x());
  if (bug == Bug::same_element) y[thread_x()] = x[i] + 1;
  if (i < n) y[i] = x[bug == Bug::too_far ? i + 1 : i] + 1;
  if (bug == Bug::reads_neighbour && i + block_width() < n) y[i] = y[i + block_width()];
  if (bug == Bug::no_barrier) y[i] = y[i ^ 32];
}
// A block hands numbers on through global memory, with a barrier between.
PARE_KERNEL void exchange_kernel(float* x, bool meet) {
  const int first = block_x() * block_width(), t = thread_x();
  x[first + t] = float(t);
  if (meet) barrier();
  const float other = x[first + (t + 40) % block_width()];
  if (meet) barrier();
  x[first + t] = other;
}
// Bytes of one word that belong to different blocks.
PARE_KERNEL void bytes_kernel(uint8_t* y) { y[global_x()] = uint8_t(block_x()); }
PARE_KERNEL void least_kernel(int* n) { atomic_min(n, int(global_x())); }

std::vector<float> counting(int n) {
  std::vector<float> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), 0.f);
  return v;
}

void own(Bug bug) {
  const DeviceArray<float> x(counting(192)), y(counting(192));
  launch(own_kernel, 3, 64, 0, Stream{}, x.p, y.p, 192, bug);
}

}  // namespace

TEST_CASE("races in global memory and accesses outside of a block are told, with who raced") {
  for (int seed = 0; seed < 10; ++seed) {
    emulation::set_seed(uint64_t(seed));
    CHECK_NOTHROW(own(Bug::none));
    CHECK_THROWS_WITH_AS(own(Bug::same_element),
                         doctest::Contains("which another block of this launch"), Failure);
    CHECK_THROWS_WITH_AS(own(Bug::reads_neighbour),
                         doctest::Contains("race, for blocks have no order"), Failure);
    CHECK_THROWS_WITH_AS(own(Bug::no_barrier), doctest::Contains("which another warp"), Failure);
    CHECK_THROWS_WITH_AS(own(Bug::too_far),
                         doctest::Contains("reads byte 768 of a block of 768 bytes"), Failure);
  }
}

TEST_CASE("what barriers, launches and atomics order is no race") {
  const DeviceArray<float> x(counting(192));
  for (int i = 0; i < 3; ++i) launch(exchange_kernel, 3, 64, 0, Stream{}, x.p, true);
  CHECK_THROWS_WITH_AS(launch(exchange_kernel, 3, 64, 0, Stream{}, x.p, false),
                       doctest::Contains("with no barrier in between"), Failure);
  const DeviceArray<uint8_t> bytes(std::vector<uint8_t>(30));
  launch(bytes_kernel, 10, 3, 0, Stream{}, bytes.p);
  const DeviceArray<int> least({7});
  launch(least_kernel, 4, 64, 0, Stream{}, least.p);
  CHECK(least.values()[0] == 0);
}
#endif

TEST_SUITE_END();
