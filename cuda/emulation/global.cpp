#include "cuda/emulation/global.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <utility>

#include "cuda/emulation/memory.h"

namespace pare::cuda::emulation {
namespace {

constexpr uint16_t of_several_blocks =
    0x8000;  // beside a reader: other blocks of the launch read too
constexpr int warp_size = 32;

// Epochs grow with every barrier and every block (scheduler.h), so one says when and which block.
struct Cell {
  uint32_t write_epoch = 0, read_epoch = 0;
  uint16_t writer = 0, reader = 0;
};
// What lies on a page: a block of device memory, which has its pages to itself, or something else.
struct Page {
  uintptr_t number = 0;
  DeviceBlock block;
  Cell* cells = nullptr;  // one a byte; that of an element is its first byte's
};

struct Watch {
  bool on = false;
  uint32_t launch = 0;  // the epoch before its first block
  std::string found;
  std::map<const char*, std::unique_ptr<Cell[]>> cells;
  Page recent[1024];
};
Watch& watch() {
  static auto* w = new Watch;
  return *w;
}

const Page& page_of(Watch& w, const char* p) {
  const uintptr_t number = uintptr_t(p) / page_bytes;
  Page& page = w.recent[number % std::size(w.recent)];
  if (page.number == number) return page;
  page = {number, device_block(p), nullptr};
  if (const char* begin = page.block.begin) {
    auto& cells = w.cells[begin];
    if (!cells) cells = std::make_unique<Cell[]>(page.block.capacity);
    page.cells = cells.get();
  }
  return page;
}

// What is told of an access: the first of a launch.
void tell(Watch& w, Access access, int64_t byte, const DeviceBlock& block, const std::string& what,
          const void* code) {
  if (!w.found.empty()) return;
  const auto text = [](auto n) { return std::to_string(n); };
  w.found = "thread " + text(self->number) + " of block " + text(block_at.x) + "," +
            text(block_at.y) + "," + text(block_at.z) +
            (access == Access::read ? " reads byte " : " writes byte ") + text(byte) +
            " of a block of " + text(block.lent) + " bytes of device memory" + what;
  Dl_info info;
  if (!::dladdr(code, &info)) return;
  char place[32];
  std::snprintf(place, sizeof place, " %#zx)", size_t(uintptr_t(code) - uintptr_t(info.dli_fbase)));
  w.found += std::string(" (addr2line -e ") + info.dli_fname + place;
}

// Whether an access by `who` at `when` is of this launch and not ordered before the running
// thread's.
bool unordered(const Watch& w, uint32_t when, uint16_t who) {
  if (when <= w.launch) return false;
  if (when < first_epoch) return true;  // another block's
  return when == epoch && who / warp_size != self->number / warp_size;
}

// What is wrong with the running thread's access to this element; "" for nothing. Notes it.
std::string look(const Watch& w, Cell& c, Access access) {
  const auto me = uint16_t(self->number);
  const auto race = [](bool other_block, const char* did) {
    return std::string(other_block ? ", which another block of this launch "
                                   : ", which another warp ") +
           did +
           (other_block ? ": race, for blocks have no order" : " with no barrier in between: race");
  };
  std::string wrong;
  if (unordered(w, c.write_epoch, c.writer)) wrong = race(c.write_epoch < first_epoch, "wrote");
  const bool now = c.read_epoch > w.launch;  // read in this launch
  const bool others = now && (c.read_epoch < first_epoch || c.reader & of_several_blocks);
  if (access == Access::write) {
    if (others || unordered(w, c.read_epoch, c.reader)) wrong = race(others, "read");
    c.write_epoch = epoch;
    c.writer = me;
  } else {
    c.read_epoch = epoch;
    c.reader = uint16_t(me | (others ? of_several_blocks : 0));
  }
  return wrong;
}

void touch_at(const void* p, size_t bytes, Access access, const void* code) {
  Watch& w = watch();
  if (!w.on) return;
  const auto* at = static_cast<const char*>(p);
  const Page& page = page_of(w, at);
  if (!page.cells) return;
  const int64_t first = at - page.block.begin;
  if (first < 0 || first + int64_t(bytes) > int64_t(page.block.lent))
    return tell(w, access, first, page.block, ", outside of it", code);
  const size_t step = bytes % 4 == 0 && first % 4 == 0 ? 4 : 1;
  for (size_t i = 0; i < bytes; i += step)
    if (const std::string wrong = look(w, page.cells[size_t(first) + i], access); !wrong.empty())
      tell(w, access, first + int64_t(i), page.block, wrong, code);
}

}  // namespace

void begin_global() {
  Watch& w = watch();
  w.launch = epoch;
  w.found.clear();
  std::fill(std::begin(w.recent), std::end(w.recent), Page{});
  w.on = true;
}
std::string end_global() {
  watch().on = false;
  return std::exchange(watch().found, {});
}
void touch_global(const void* p, size_t bytes, Access access) {
  touch_at(p, bytes, access, __builtin_return_address(0));
}
Atomically::Atomically() : was_on_(std::exchange(watch().on, false)) {}
Atomically::~Atomically() { watch().on = was_on_; }
void forget_global(const char* block) { watch().cells.erase(block); }

}  // namespace pare::cuda::emulation

// What the compiler calls; it takes for granted that none of it throws.
namespace {
using pare::cuda::emulation::Access;
using pare::cuda::emulation::touch_at;
}  // namespace

#define PARE_ACCESS(name, access, bytes) \
  void name(void* p) { touch_at(p, bytes, Access::access, __builtin_return_address(0)); }
#define PARE_ACCESSES(bytes)                             \
  PARE_ACCESS(__tsan_read##bytes, read, bytes)           \
  PARE_ACCESS(__tsan_write##bytes, write, bytes)         \
  PARE_ACCESS(__tsan_unaligned_read##bytes, read, bytes) \
  PARE_ACCESS(__tsan_unaligned_write##bytes, write, bytes)
// Atomics of the host's code in the same files: done, not looked at.
#define PARE_ATOMICS(bits, T)                                                              \
  T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, 5); } \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, 5); } \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                              \
    return __atomic_exchange_n(p, v, 5);                                                   \
  }                                                                                        \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                             \
    return __atomic_fetch_add(p, v, 5);                                                    \
  }                                                                                        \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) {                             \
    return __atomic_fetch_sub(p, v, 5);                                                    \
  }                                                                                        \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* c, T v, int, int) {  \
    return __atomic_compare_exchange_n(p, c, v, false, 5, 5);                              \
  }

extern "C" {
PARE_ACCESSES(1)
PARE_ACCESSES(2)
PARE_ACCESSES(4)
PARE_ACCESSES(8)
PARE_ACCESSES(16)
void __tsan_read_range(void* p, size_t n) {
  touch_at(p, n, Access::read, __builtin_return_address(0));
}
void __tsan_write_range(void* p, size_t n) {
  touch_at(p, n, Access::write, __builtin_return_address(0));
}
PARE_ATOMICS(8, uint8_t)
PARE_ATOMICS(32, uint32_t)
PARE_ATOMICS(64, uint64_t)
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void* __tsan_memcpy(void* to, const void* from, size_t n) {
  __tsan_read_range(const_cast<void*>(from), n);
  __tsan_write_range(to, n);
  return std::memcpy(to, from, n);
}
void* __tsan_memset(void* to, int value, size_t n) {
  __tsan_write_range(to, n);
  return std::memset(to, value, n);
}
void* __tsan_memmove(void* to, const void* from, size_t n) {
  __tsan_read_range(const_cast<void*>(from), n);
  __tsan_write_range(to, n);
  return std::memmove(to, from, n);
}
}
