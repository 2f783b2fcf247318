// The working memory of kernels.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <thread>

#include "core/cpu/scratch.h"

using pare::cpu::Scratch;

namespace {

bool holds(const uint8_t* p, size_t n, uint8_t value) {
  for (size_t i = 0; i < n; ++i)
    if (p[i] != value) return false;
  return true;
}

uint8_t* filled(Scratch& scratch, size_t n, uint8_t value) {
  uint8_t* p = scratch.take<uint8_t>(n);
  CHECK(reinterpret_cast<uintptr_t>(p) % 64 == 0);
  std::memset(p, value, n);
  return p;
}

// From a thread of its own, whose stack is empty.
template <class F>
void on_fresh_thread(F f) {
  std::thread(f).join();
}

}  // namespace

TEST_CASE("scratch that grows moves nothing that was taken, and overlaps nothing") {
  on_fresh_thread([] {
    for (int round = 0; round < 3; ++round) {
      Scratch outer;
      const uint8_t* a = filled(outer, 100, 1);
      const uint8_t* nothing = outer.take<uint8_t>(0);
      CHECK(nothing != a);
      const uint8_t* b = filled(outer, 5000, 2);
      for (size_t n = 1; n < 4 << 20; n *= 7) {
        Scratch inner;
        const uint8_t* c = filled(inner, n, 3);
        const uint8_t* d = filled(inner, n + 1, 4);
        CHECK(holds(c, n, 3));
        CHECK(holds(d, n + 1, 4));
        CHECK(holds(a, 100, 1));
        CHECK(holds(b, 5000, 2));
      }
    }
  });
}

TEST_CASE("scratch is one piece of memory once its deepest use is known") {
  on_fresh_thread([] {
    const auto use = [](const uint8_t*& first, const uint8_t*& last) {
      Scratch outer;
      first = filled(outer, 1000, 1);
      Scratch inner;
      last = filled(inner, 100000, 2);
    };
    const uint8_t *first, *last, *first_again, *last_again;
    use(first, last);
    use(first, last);
    CHECK(last == first + 1024);
    use(first_again, last_again);
    CHECK(first_again == first);
    CHECK(last_again == last);
  });
}
