#include "cuda/emulation/memory.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "cuda/emulation/breakdown.h"
#include "cuda/emulation/global.h"
#include "cuda/emulation/sanitizer.h"
#include "cuda/failure.h"

namespace pare::cuda::emulation {
namespace {

constexpr size_t guard = 64;    // bytes before and after a block
constexpr size_t looked = 256;  // of a large block's slack, which is looked at near its ends alone

struct Block {
  size_t bytes, capacity;  // bytes: lent; 0: none
};
struct Memory {
  std::mutex mutex;
  std::map<char*, Block> blocks;
  size_t total = 0;
};
Memory& memory() {
  static auto* m = new Memory;
  return *m;
}

// The pattern, which repeats after `period` bytes, and so much more that any `looked` bytes of it
// lie together.
constexpr size_t period = 4096;
struct Stale {
  unsigned char bytes[period + looked];
  constexpr Stale() : bytes{} {
    for (size_t i = 0; i < sizeof bytes; i += 4) {
      const uint32_t noise = uint32_t(i % period) / 4 * 0x9e3779b9u >> 16;
      bytes[i] = uint8_t(noise);
      bytes[i + 1] = uint8_t(noise >> 8);
      bytes[i + 2] = 0xf8;
      bytes[i + 3] = 0x7f;
    }
  }
};
constexpr Stale stale;

// Of the block whose guard begins at `start`: the bytes [from, to) as nobody wrote them.
void make_stale(const char* start, char* from, const char* to) {
  while (from < to) {
    const size_t at = size_t(from - start) % period, left = size_t(to - from);
    const size_t n = std::min(left, period - at);
    std::memcpy(from, stale.bytes + at, n);
    from += n;
  }
}
[[maybe_unused]] bool intact(const char* start, const char* from, const char* to) {
  return std::memcmp(from, stale.bytes + size_t(from - start) % period, size_t(to - from)) == 0;
}

}  // namespace

unsigned char stale_byte(size_t offset) { return stale.bytes[(offset + guard) % period]; }

void* allocate(size_t bytes) {
  if (allocation_fails()) return nullptr;
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const size_t whole = (bytes + 63) / 64 * 64 + 2 * guard;
  if (m.total + whole > memory_limit()) return nullptr;
  const size_t pages = (whole + page_bytes - 1) / page_bytes * page_bytes;
  auto* start = static_cast<char*>(std::aligned_alloc(page_bytes, pages));
  if (!start) return nullptr;
  make_stale(start, start, start + whole);
  m.total += whole;
  char* block = start + guard;
  m.blocks[block] = {bytes, bytes};
  poison(start, guard);
  poison(block + bytes, whole - guard - bytes);
  return block;
}

void release(void* p) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  auto* block = static_cast<char*>(p);
  const auto at = m.blocks.find(block);
  if (at == m.blocks.end()) return;
  const size_t whole = (at->second.capacity + 63) / 64 * 64 + 2 * guard;
  m.total -= whole;
  m.blocks.erase(at);
  forget_global(block);
  unpoison(block - guard, whole);
  std::free(block - guard);
}

void lend(void* p, size_t bytes, size_t capacity) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  auto* block = static_cast<char*>(p);
  poison(block, capacity);
  unpoison(block, bytes);
  m.blocks[block].bytes = bytes;
}

void reclaim(void* p, size_t capacity) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  auto* block = static_cast<char*>(p);
  m.blocks[block].bytes = 0;
  unpoison(p, capacity);
  make_stale(block - guard, block, block + capacity);
  poison(p, capacity);
}

void check_guards([[maybe_unused]] const Location& where) {
#if !PARE_ASAN
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  for (const auto& [block, info] : m.blocks) {
    char *start = block - guard, *end = block + info.bytes;
    const char* last = block + (info.capacity + 63) / 64 * 64 + guard;
    if (intact(start, start, block) &&
        intact(start, end, std::min<const char*>(last, end + looked)))
      continue;
    make_stale(start, start, block);
    make_stale(start, end, last);
    throw Failure(Status::failed, name_of(where) + ": a kernel wrote outside of a block of " +
                                      std::to_string(info.bytes) + " bytes of device memory");
  }
#endif
}

DeviceBlock device_block(const void* p) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  auto* at = static_cast<char*>(const_cast<void*>(p));
  // The guard before a block lies on its first page.
  auto next = m.blocks.upper_bound(at + guard);
  if (next == m.blocks.begin()) return {};
  const auto& [block, info] = *--next;
  const char* end = block + (info.capacity + 63) / 64 * 64 + guard;
  return uintptr_t(at) / page_bytes <= uintptr_t(end - 1) / page_bytes
             ? DeviceBlock{block, info.bytes, info.capacity}
             : DeviceBlock{};
}

bool on_device(const void* p) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  auto* at = static_cast<char*>(const_cast<void*>(p));
  auto next = m.blocks.upper_bound(at);
  if (next == m.blocks.begin()) return false;
  --next;
  return at <= next->first + next->second.capacity;
}

int capability() {
  static const int value = [] {
    const char* text = std::getenv("PARE_EMULATED_CAPABILITY");
    return text ? std::atoi(text) : 90;
  }();
  return value;
}

size_t shared_limit() {
  switch (capability()) {
    case 75:
      return 64 * 1024;
    case 80:
      return 163 * 1024;
    case 86:
    case 89:
      return 99 * 1024;
    default:
      return 227 * 1024;
  }
}

}  // namespace pare::cuda::emulation
