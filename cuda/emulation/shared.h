// Emulated shared memory. Beside every byte stands who wrote and who read it last, and when, so
// that two threads that touch one element without a barrier between them are reported, and so is
// an element that is read before any thread of the block wrote it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cuda/emulation/scheduler.h"

namespace pare::cuda::emulation {

enum class Access : uint8_t { read, write };

// A new block: nothing is written yet. `dynamic_bytes` as launched.
void begin_shared(size_t dynamic_bytes, const Location& where);
// Bytes of the launch's dynamic shared memory from `offset` on, and how many there are.
char* dynamic_bytes(size_t offset, size_t& count, const Location& where);
// The static array declared at `tag` (one address a declaration), `bytes` long.
char* static_bytes(const void* tag, size_t bytes, const Location& where);
// Checks an access of the running thread to `bytes` at `p` and notes it.
void touch(const char* p, size_t bytes, Access access, const Location& where);

// Copies that cp_async queued: done at the wait; until then the bytes are unreadable.
void queue_copy(char* to, const void* from, size_t bytes, bool valid, const Location& where);
void commit_copies();
void wait_for_copies(int left, const Location& where);

// One element of an array, read or written when used. Write the type where you read one: `auto`
// would keep the reference.
template <class T>
class Element {
 public:
  Element(char* p, const Location& where) : p_(p), where_(where) {}
  Element(const Element&) = default;
  operator T() const {
    touch(p_, sizeof(T), Access::read, where_);
    T v;
    std::memcpy(&v, p_, sizeof(T));
    return v;
  }
  const Element& operator=(const T& v) const {
    touch(p_, sizeof(T), Access::write, where_);
    std::memcpy(p_, &v, sizeof(T));
    return *this;
  }
  const Element& operator=(const Element& other) const { return *this = T(other); }
  const Element& operator+=(const T& v) const { return *this = T(T(*this) + v); }
  const Element& operator-=(const T& v) const { return *this = T(T(*this) - v); }
  const Element& operator*=(const T& v) const { return *this = T(T(*this) * v); }

 private:
  char* p_;
  Location where_;
};

}  // namespace pare::cuda::emulation
