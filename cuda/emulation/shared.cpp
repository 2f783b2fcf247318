#include "cuda/emulation/shared.h"

#include <string>
#include <vector>

#include "cuda/emulation/global.h"
#include "cuda/emulation/memory.h"
#include "cuda/failure.h"

namespace pare::cuda::emulation {
namespace {

constexpr uint16_t nobody = 0xffff, several = 0xfffe;  // several: threads of more than one warp
constexpr uint16_t several_of_warp = 0x8000;           // | warp: several threads of one warp
constexpr int warp_size = 32;
constexpr size_t most_static = 48 * 1024;

// Epochs and the warp barriers its threads had passed say when; see scheduler.h.
struct Cell {
  uint32_t write_epoch = 0, read_epoch = 0;
  uint32_t write_warp_time = 0, read_warp_time = 0;
  uint16_t writer = nobody, reader = nobody;
  bool pending = false;  // a cp_async has not arrived
};

struct StaticArray {
  const void* tag;
  size_t offset, bytes;
};
struct Copy {
  char* to;
  const void* from;
  size_t bytes;
  bool valid;
  int thread, group;  // group -1: not committed yet
};

struct SharedMemory {
  std::vector<char> bytes;
  std::vector<Cell> cells;
  std::vector<StaticArray> arrays;
  std::vector<Copy> copies;
  std::vector<int> groups;  // committed, by thread
  size_t dynamic = 0, used = 0;
};
SharedMemory& memory() {
  static auto* m = new SharedMemory;
  return *m;
}

int warp_of(uint16_t who) {
  if (who == nobody || who == several) return -1;
  return who & several_of_warp ? who & 0x3ff : who / warp_size;
}
std::string text_of(uint16_t who) {
  if (who == several) return "several threads";
  return who & several_of_warp ? "several threads of warp " + std::to_string(who & 0x3ff)
                               : "thread " + std::to_string(who);
}

// Whether an access by `who` in this epoch may collide with the running thread's.
bool conflicts(uint16_t who, uint32_t when, uint32_t warp_time) {
  if (who == nobody || when != epoch || who == self->number) return false;
  return warp_of(who) != self->number / warp_size || warp_time == self->warp_barriers;
}

void note_reader(Cell& c) {
  const auto me = uint16_t(self->number);
  const int warp = self->number / warp_size;
  if (c.read_epoch != epoch || c.reader == nobody) {
    c.reader = me;
  } else if (c.reader != me) {
    c.reader = warp_of(c.reader) == warp ? uint16_t(several_of_warp | warp) : several;
  }
  c.read_epoch = epoch;
  c.read_warp_time = self->warp_barriers;
}

}  // namespace

void begin_shared(size_t dynamic_bytes, const Location& where) {
  SharedMemory& m = memory();
  const size_t limit = shared_limit();
  if (dynamic_bytes > limit)
    fault("the launch wants " + std::to_string(dynamic_bytes) +
              " bytes of shared memory, a block has " + std::to_string(limit),
          where);
  m.dynamic = m.used = dynamic_bytes;
  m.arrays.clear();
  m.copies.clear();
  m.groups.assign(size_t(block_size.x) * size_t(block_size.y) * size_t(block_size.z), 0);
  if (m.bytes.size() < limit + most_static) {
    m.bytes.resize(limit + most_static);
    m.cells.resize(m.bytes.size());
  }
}

char* dynamic_bytes(size_t offset, size_t& count, const Location& where) {
  SharedMemory& m = memory();
  if (offset > m.dynamic)
    fault("offset " + std::to_string(offset) + " of " + std::to_string(m.dynamic) +
              " bytes of dynamic shared memory",
          where);
  count = m.dynamic - offset;
  return m.bytes.data() + offset;
}

char* static_bytes(const void* tag, size_t bytes, const Location& where) {
  SharedMemory& m = memory();
  for (const StaticArray& a : m.arrays)
    if (a.tag == tag) return m.bytes.data() + a.offset;
  const size_t offset = (m.used + 15) / 16 * 16;
  m.used = offset + bytes;
  if (m.used - m.dynamic > most_static || m.used > shared_limit())
    fault("more shared memory than a block has", where);
  m.arrays.push_back({tag, offset, bytes});
  return m.bytes.data() + offset;
}

void touch(const char* p, size_t bytes, Access access, const Location& where) {
  SharedMemory& m = memory();
  const auto at = size_t(p - m.bytes.data());
  // Elements of two bytes and more lie on even bytes; every second cell speaks for its neighbour.
  const size_t step = bytes >= 2 ? 2 : 1;
  for (size_t i = at; i < at + bytes; i += step) {
    Cell& c = m.cells[i];
    const std::string_view act = access == Access::read ? "reads" : "writes";
    const auto race = [&](uint16_t other, const char* did) {
      fault("race: this thread " + std::string(act) + " byte " + std::to_string(i) +
                " of shared memory, which " + text_of(other) + " " + did +
                "; no barrier is in between",
            where);
    };
    if (c.pending && c.write_epoch >= first_epoch)
      fault("byte " + std::to_string(i) +
                " of shared memory is used before its cp_async was waited for",
            where);
    if (conflicts(c.writer, c.write_epoch, c.write_warp_time)) race(c.writer, "wrote");
    if (access == Access::write) {
      if (conflicts(c.reader, c.read_epoch, c.read_warp_time)) race(c.reader, "read");
      c.writer = uint16_t(self->number);
      c.write_epoch = epoch;
      c.write_warp_time = self->warp_barriers;
      c.pending = false;
    } else {
      if (c.write_epoch < first_epoch)
        fault("byte " + std::to_string(i) +
                  " of shared memory is read before any thread wrote it: none does, or no barrier "
                  "is in between",
              where);
      note_reader(c);
    }
  }
}

void queue_copy(char* to, const void* from, size_t bytes, bool valid, const Location& where) {
  SharedMemory& m = memory();
  if (uintptr_t(to - m.bytes.data()) % bytes || (valid && uintptr_t(from) % bytes))
    fault("a copy of " + std::to_string(bytes) + " bytes is not aligned to them", where);
  touch(to, bytes, Access::write, where);
  if (valid) touch_global(from, bytes, Access::read);
  for (size_t i = 0; i < bytes; ++i) m.cells[size_t(to - m.bytes.data()) + i].pending = true;
  m.copies.push_back({to, from, bytes, valid, self->number, -1});
}

void commit_copies() {
  SharedMemory& m = memory();
  const int group = m.groups[size_t(self->number)]++;
  for (Copy& c : m.copies)
    if (c.thread == self->number && c.group < 0) c.group = group;
}

void wait_for_copies(int left, const Location& where) {
  SharedMemory& m = memory();
  const int arrived = m.groups[size_t(self->number)] - left;  // groups below this one
  std::erase_if(m.copies, [&](const Copy& c) {
    if (c.thread != self->number || c.group < 0 || c.group >= arrived) return false;
    for (size_t i = 0; i < c.bytes; ++i) m.cells[size_t(c.to - m.bytes.data()) + i].pending = false;
    touch(c.to, c.bytes, Access::write, where);
    if (c.valid)
      std::memcpy(c.to, c.from, c.bytes);
    else
      std::memset(c.to, 0, c.bytes);
    return true;
  });
}

}  // namespace pare::cuda::emulation
