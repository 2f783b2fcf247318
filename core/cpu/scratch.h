// Working memory of kernels: a stack for each thread.
#pragma once

#include <cstddef>

namespace pare::cpu {

// Takes memory from the thread's stack and gives all of it back at the end of its scope. What is
// taken is 64-byte aligned, uninitialized, and stays where it is until then; other threads may use
// it. Scopes nest: only the innermost one of a thread may take. The stack grows to the deepest use
// and is kept, so that a step which ran before allocates nothing.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Throws std::bad_alloc.
  template <class T>
  T* take(size_t count) {
    return static_cast<T*>(take_bytes(count * sizeof(T)));
  }

 private:
  void* take_bytes(size_t bytes);
  int block_;  // where the stack stood
  size_t used_, live_;
};

}  // namespace pare::cpu
