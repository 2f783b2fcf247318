// The machine's fused-multiply-add peak: what every share-of-peak in the benchmark tables refers
// to.
//
// Independent chains of vector FMAs, enough to cover their latency, on registers alone; each thread
// runs its own; the best of several short runs counts, since a busy machine only ever slows one
// down. Prints one JSON object: GFLOP/s by instruction set, as a list with one entry per thread
// count.
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int chains = 12;
constexpr int unrolled = 8;
constexpr long rounds = 400000;
using Kernel = void (*)(long);

// No chain may start at 1, the fixed point of x * a + b: a compiler would drop it.
// Tells the compiler that the chains' sums are used, once they are done.
#define PARE_USED(v) asm volatile("" : : "m"(v))

__attribute__((target("avx2,fma"))) void fma_avx2(long count) {
  __m256 sum[chains];
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
  for (int c = 0; c < chains; ++c) sum[c] = _mm256_set1_ps(float(c + 2));
  for (long i = 0; i < count; i += unrolled)
#pragma GCC unroll 8
    for (int u = 0; u < unrolled; ++u)
#pragma GCC unroll 12
      for (int c = 0; c < chains; ++c) sum[c] = _mm256_fmadd_ps(sum[c], a, b);
  PARE_USED(sum);
}

__attribute__((target("avx512f"))) void fma_avx512(long count) {
  __m512 sum[chains];
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
  for (int c = 0; c < chains; ++c) sum[c] = _mm512_set1_ps(float(c + 2));
  for (long i = 0; i < count; i += unrolled)
#pragma GCC unroll 8
    for (int u = 0; u < unrolled; ++u)
#pragma GCC unroll 12
      for (int c = 0; c < chains; ++c) sum[c] = _mm512_fmadd_ps(sum[c], a, b);
  PARE_USED(sum);
}

double seconds_of(Kernel kernel, int threads) {
  std::atomic<int> waiting{threads};
  std::vector<double> seconds(size_t(threads), 0);
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      --waiting;
      while (waiting.load() > 0) {
      }
      const auto begin = std::chrono::steady_clock::now();
      kernel(rounds);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      seconds[size_t(t)] = took.count();
    });
  for (std::thread& thread : pool) thread.join();
  return *std::max_element(seconds.begin(), seconds.end());
}

double gflops(Kernel kernel, int lanes, int threads) {
  double best = 1e9;
  for (int run = 0; run < 40; ++run) best = std::min(best, seconds_of(kernel, threads));
  return 2.0 * lanes * chains * double(rounds) * threads / best / 1e9;
}

}  // namespace

int main() {
  const int cores = std::max(1, int(std::thread::hardware_concurrency()));
  std::string text;
  const auto measure = [&](const char* name, Kernel kernel, int lanes) {
    text += text.empty() ? "\"" : ", \"";
    text += std::string(name) + "\": [";
    for (int threads = 1; threads <= std::min(cores, 2); ++threads) {
      char number[32];
      std::snprintf(number, sizeof number, "%s%.1f", threads > 1 ? ", " : "",
                    gflops(kernel, lanes, threads));
      text += number;
    }
    text += "]";
  };
  if (__builtin_cpu_supports("fma")) measure("avx2", fma_avx2, 8);
  if (__builtin_cpu_supports("avx512f")) measure("avx512", fma_avx512, 16);
  std::printf("{%s}\n", text.c_str());
  return 0;
}
