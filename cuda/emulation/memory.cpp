#include "cuda/emulation/memory.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "cuda/emulation/breakdown.h"
#include "cuda/emulation/sanitizer.h"
#include "cuda/failure.h"

namespace pare::cuda::emulation {
namespace {

constexpr size_t guard = 64;             // bytes before and after a block
constexpr unsigned char pattern = 0xff;  // NaN in every float type

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

bool intact(const char* from, const char* to) {
  for (; from < to; ++from)
    if (static_cast<unsigned char>(*from) != pattern) return false;
  return true;
}

}  // namespace

void* allocate(size_t bytes) {
  if (allocation_fails()) return nullptr;
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const size_t whole = (bytes + 63) / 64 * 64 + 2 * guard;
  if (m.total + whole > memory_limit()) return nullptr;
  auto* start = static_cast<char*>(std::aligned_alloc(64, whole));
  if (!start) return nullptr;
  std::memset(start, pattern, whole);
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
  m.blocks[static_cast<char*>(p)].bytes = 0;
  unpoison(p, capacity);
  std::memset(p, pattern, capacity);
  poison(p, capacity);
}

void check_guards([[maybe_unused]] const Location& where) {
#if !PARE_ASAN
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  for (const auto& [block, info] : m.blocks) {
    const char* end = block + info.bytes;
    // A large block's slack is looked at only near its ends.
    const char* last = block + (info.capacity + 63) / 64 * 64 + guard;
    if (intact(block - guard, block) && intact(end, last - end > 256 ? end + 256 : last)) continue;
    std::memset(block - guard, pattern, guard);
    if (info.bytes) std::memset(block + info.bytes, pattern, size_t(last - end));
    throw Failure(Status::failed, name_of(where) + ": a kernel wrote outside of a block of " +
                                      std::to_string(info.bytes) + " bytes of device memory");
  }
#endif
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
