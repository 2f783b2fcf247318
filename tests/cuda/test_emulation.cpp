// The emulation itself: planted mistakes are reported, correct kernels are not.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "cuda/device.h"
#include "cuda/emulation/sanitizer.h"
#include "cuda/mma.h"
#include "tests/cuda/device_array.h"

using namespace pare;
using namespace pare::cuda;
using pare::testing::DeviceArray;

TEST_SUITE_BEGIN("emulated");  // a GPU has no part in these

namespace {

std::vector<float> counting(int n) {
  std::vector<float> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), 1.f);
  return v;
}

enum class Bug {
  none,
  no_barrier,
  one_returns,
  other_barrier,
  missing_lane,
  too_far,
  shared_too_far,
  unwritten
};

PARE_KERNEL void reverse_kernel(float* x, int n, Bug bug) {
  PARE_SHARED(float, s, 64);
  if (bug == Bug::one_returns && thread_x() == 5) return;
  if (bug != Bug::unwritten || thread_x() != 7) s[thread_x()] = x[thread_x()];
  if (bug == Bug::other_barrier && thread_x() < 32)
    barrier();
  else if (bug != Bug::no_barrier)
    barrier();
  const int from = n - 1 - thread_x();
  x[thread_x() + (bug == Bug::too_far ? 1 : 0)] = s[bug == Bug::shared_too_far ? from + 1 : from];
}

PARE_KERNEL void sum_kernel(float* x, Bug bug) {
  if (bug == Bug::missing_lane && lane() == 3) return;
  const float total = warp_sum(x[global_x()]);
  x[global_x()] = total;
}

void reverse(Bug bug) {
  DeviceArray<float> x(counting(64));
  launch(reverse_kernel, 1, 64, 0, Stream{}, x.p, 64, bug);
  const std::vector<float> got = x.values();
  for (int i = 0; i < 64; ++i) CHECK(got[size_t(i)] == float(64 - i));
}

}  // namespace

TEST_CASE("threads meet at barriers, and mistakes there are named") {
  for (int seed = 0; seed < 20; ++seed) {
    emulation::set_seed(uint64_t(seed));
    CHECK_NOTHROW(reverse(Bug::none));
    CHECK_THROWS_WITH_AS(reverse(Bug::no_barrier), doctest::Contains("no barrier is in between"),
                         Failure);
    CHECK_THROWS_WITH_AS(reverse(Bug::one_returns),
                         doctest::Contains("thread 5 returned without this barrier"), Failure);
    CHECK_THROWS_WITH_AS(reverse(Bug::other_barrier), doctest::Contains("another barrier"),
                         Failure);
    CHECK_THROWS_WITH_AS(reverse(Bug::shared_too_far),
                         doctest::Contains("element 64 of a shared array of 64"), Failure);
    CHECK_THROWS_WITH_AS(reverse(Bug::unwritten), doctest::Contains("before any thread wrote it"),
                         Failure);
  }
}

TEST_CASE("a missing lane is named") {
  DeviceArray<float> x(counting(64));
  launch(sum_kernel, 2, 32, 0, Stream{}, x.p, Bug::none);
  CHECK(x.values()[0] == 32 * 33 / 2);
  CHECK(x.values()[63] == 32 * 33 / 2 + 32 * 32);
  CHECK_THROWS_WITH_AS(launch(sum_kernel, 2, 32, 0, Stream{}, x.p, Bug::missing_lane),
                       doctest::Contains("lane 3 of the mask is missing: it has returned"),
                       Failure);
}

#if !PARE_ASAN
TEST_CASE("a write beyond a block is noticed after the launch") {
  CHECK_THROWS_WITH_AS(reverse(Bug::too_far),
                       doctest::Contains("wrote outside of a block of 256 bytes"), Failure);
}
#endif

TEST_CASE("memory that nobody wrote is conspicuous as every type") {
  constexpr size_t bytes = 10000;
  const auto see = [&]<class T>(const char* p, T, auto odd) {
    size_t seen = 0;
    for (size_t i = 0; i < bytes; i += sizeof(T)) {
      T v;
      std::memcpy(&v, p + i, sizeof v);
      seen += odd(v);
    }
    CHECK(seen == bytes / sizeof(T));
  };
  const auto see_all = [&](const char* p) {
    see(p, 0.f, [](float v) { return v != v; });
    see(p, 0., [](double v) { return v != v; });
    see(p, 0.f, [](float v) { return std::isnan(std::bit_cast<float>(to_tf32(v))); });
    see(p, 0.f, [](float v) { return std::isnan(float(BFloat16(v))); });
    // As tensor cores and integer roundings of the bits see it.
    see(p, 0u,
        [](uint32_t v) { return std::isnan(std::bit_cast<float>((v + 0x1000) & ~0x1fffu)); });
    see(p, 0, [](int v) { return v > 1 << 30; });
    see(p, int64_t(0), [](int64_t v) { return v > int64_t(1) << 62; });
    int counts[256] = {};
    for (size_t i = 0; i < bytes; ++i) ++counts[uint8_t(p[i])];
    CHECK(std::count(counts, counts + 256, 0) == 0);  // no byte stands for it
  };
  auto* block = static_cast<char*>(emulation::allocate(bytes));
  see_all(block);
  std::memset(block, 0, bytes);
  emulation::reclaim(block, bytes);
  emulation::lend(block, bytes, bytes);
  see_all(block);
  for (size_t i = 0; i < bytes; ++i) REQUIRE(uint8_t(block[i]) == emulation::stale_byte(i));
  emulation::release(block);
}

TEST_CASE("a pointer to host memory is refused") {
  std::vector<float> host(64);
  CHECK_THROWS_WITH_AS(launch(sum_kernel, 2, 32, 0, Stream{}, host.data(), Bug::none),
                       doctest::Contains("pointer to host memory"), Failure);
}

namespace {
PARE_KERNEL void copy_kernel(const float* x, float* y, bool wait, bool meet) {
  const Shared<float> s = dynamic_shared<float>();
  cp_async<16>(s + 4 * thread_x(), x + 4 * thread_x());
  cp_async_commit();
  if (wait) cp_async_wait<0>();
  if (meet) barrier();
  const int i = 4 * ((thread_x() + 1) % block_width());
  for (int k = 0; k < 4; ++k) y[i + k] = s[i + k];
}
void copy(bool wait, bool meet) {
  DeviceArray<float> x(counting(128)), y(counting(128));
  launch(copy_kernel, 1, 32, 512, Stream{}, x.p, y.p, wait, meet);
  CHECK(x.values() == y.values());
}

PARE_KERNEL void tile_kernel(const float* a, const float* b, float* d) {
  const int g = lane() / 4, t = lane() % 4;
  float sum[4] = {};
  const uint32_t fa[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]),
                          to_tf32(a[g * 8 + t + 4]), to_tf32(a[(g + 8) * 8 + t + 4])};
  const uint32_t fb[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  mma_tf32(sum, fa, fb);
  d[g * 8 + 2 * t] = sum[0];
  d[g * 8 + 2 * t + 1] = sum[1];
  d[(g + 8) * 8 + 2 * t] = sum[2];
  d[(g + 8) * 8 + 2 * t + 1] = sum[3];
}

// d (16 x 8) = a (16 x 16) b (16 x 8), bf16 through shared memory.
PARE_KERNEL void half_tile_kernel(const float* a, const float* b, float* d, bool meet) {
  PARE_SHARED(BFloat16, sa, 256);
  PARE_SHARED(BFloat16, sb, 128);  // transposed
  for (int i = lane(); i < 256; i += 32) sa[i] = BFloat16(a[i]);
  for (int i = lane(); i < 128; i += 32) sb[i % 8 * 16 + i / 8] = BFloat16(b[i]);
  if (meet) warp_barrier();
  const int g = lane() / 4, t = lane() % 4;
  const auto word = [](Shared<BFloat16> s, int row, int k) {
    const BFloat16 low = s[row * 16 + k], high = s[row * 16 + k + 1];
    return uint32_t(low.bits) | uint32_t(high.bits) << 16;
  };
  const uint32_t fa[4] = {word(sa, g, 2 * t), word(sa, g + 8, 2 * t), word(sa, g, 2 * t + 8),
                          word(sa, g + 8, 2 * t + 8)};
  const uint32_t fb[2] = {word(sb, g, 2 * t), word(sb, g, 2 * t + 8)};
  float sum[4] = {};
  mma_bf16(sum, fa, fb);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sum[i];
}

PARE_KERNEL void least_kernel(int* n) { atomic_min(n, int(global_x()) - 5); }
}  // namespace

TEST_CASE("asynchronous copies arrive at the wait, for others after a barrier") {
  CHECK_NOTHROW(copy(true, true));
  CHECK_THROWS_WITH_AS(copy(false, true), doctest::Contains("before its cp_async was waited for"),
                       Failure);
  CHECK_THROWS_WITH_AS(copy(true, false), doctest::Contains("no barrier is in between"), Failure);
}

TEST_CASE("tensor-core tiles are the products of their matrices") {
  for (const int k : {8, 16}) {
    std::vector<float> va(size_t(16 * k)), vb(size_t(k * 8));
    for (size_t i = 0; i < va.size(); ++i) va[i] = float(int(i * 7 % 15) - 7);
    for (size_t i = 0; i < vb.size(); ++i) vb[i] = float(int(i * 5 % 11) - 5) / 4;
    DeviceArray<float> a(va), b(vb), d(std::vector<float>(128));
    if (k == 8)
      launch(tile_kernel, 1, 32, 0, Stream{}, a.p, b.p, d.p);
    else
      launch(half_tile_kernel, 1, 32, 0, Stream{}, a.p, b.p, d.p, true);
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        float want = 0;
        for (int i = 0; i < k; ++i) want += va[size_t(row * k + i)] * vb[size_t(i * 8 + column)];
        CHECK(d.values()[size_t(row * 8 + column)] == want);
      }
  }
}

TEST_CASE("lanes that share memory without meeting are named") {
  DeviceArray<float> a(counting(256)), b(counting(128)), d(counting(128));
  CHECK_THROWS_AS(launch(half_tile_kernel, 1, 32, 0, Stream{}, a.p, b.p, d.p, false), Failure);
}

TEST_CASE("bf16 and tf32 round to nearest") {
  for (uint32_t b = 0; b < 0x10000; ++b) {
    BFloat16 f;
    f.bits = uint16_t(b);
    if (float(f) == float(f)) CHECK(BFloat16(float(f)).bits == b);
  }
  CHECK(float(BFloat16(1 + 0x1p-8f)) == 1);
  CHECK(float(BFloat16(1 + 0x3p-8f)) == 1 + 0x1p-6f);
  CHECK(to_tf32(1 + 0x1p-11f) == std::bit_cast<uint32_t>(1 + 0x1p-10f));
}

TEST_CASE("the least of integers is found by atomics") {
  DeviceArray<int> n({3});
  launch(least_kernel, 3, 8, 0, Stream{}, n.p);
  CHECK(n.values()[0] == -5);
}

TEST_SUITE_END();
