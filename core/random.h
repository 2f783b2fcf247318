// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A value is a pure function of (key, counter), so every device, every thread
// count and every order of evaluation gives the same stream, and nothing but the key needs saving.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace pare {

// 128 random bits for `counter` under `key`.
constexpr std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_low,
                                         uint64_t counter_high = 0) {
  uint32_t c0 = uint32_t(counter_low), c1 = uint32_t(counter_low >> 32);
  uint32_t c2 = uint32_t(counter_high), c3 = uint32_t(counter_high >> 32);
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(0xD2511F53u) * c0, p1 = uint64_t(0xCD9E8D57u) * c2;
    c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
    c1 = uint32_t(p1);
    c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c3 = uint32_t(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

// FNV-1a; names become keys through it.
constexpr uint64_t hash_name(std::string_view name, uint64_t seed = 0xcbf29ce484222325ull) {
  for (const char c : name) seed = (seed ^ uint8_t(c)) * 0x100000001b3ull;
  return seed;
}

// One key out of several parts, order mattering (splitmix64 finalizer between them).
constexpr uint64_t mix_keys(uint64_t a, uint64_t b) {
  uint64_t z = a * 0x9E3779B97F4A7C15ull + b + 0x632BE59BD9B4E019ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Uniform in [0, 1) with 24 bits: exact in float, the same on every device.
constexpr float uniform01(uint32_t bits) { return float(bits >> 8) * 0x1p-24f; }

// A sequential view of one stream, for host code that draws in order (initializers, shuffles).
class Rng {
 public:
  explicit constexpr Rng(uint64_t key) : key_(key) {}
  constexpr uint32_t next_u32() {
    if (used_ == 4) {
      block_ = philox(key_, counter_++);
      used_ = 0;
    }
    return block_[size_t(used_++)];
  }
  constexpr float uniform() { return uniform01(next_u32()); }
  // Uniform in [0, n) without modulo bias worth speaking of (64-bit multiply), n > 0.
  constexpr uint64_t below(uint64_t n) {
    const uint64_t hi = next_u32(), lo = next_u32();
    return uint64_t((static_cast<unsigned __int128>((hi << 32) | lo) * n) >> 64);
  }
  // Standard normal (Box-Muller in double), the same bits with every C library.
  double normal();

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace pare
