#include "core/cpu/scratch.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace pare::cpu {
namespace {

size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Blocks that were added while others were in use become one block when the stack is empty.
struct Stack {
  static constexpr int most = 48;  // each at least as large as all before it
  struct Block {
    void* data = nullptr;
    size_t size = 0;
  } blocks[most];
  int block = 0;                           // the last in use
  size_t used = 0, live = 0, deepest = 0;  // bytes of that block, of all now, and at most
  ~Stack() { release(0); }

  void release(int first) {
    for (int i = first; i < most && blocks[i].data; ++i) {
      std::free(blocks[i].data);
      blocks[i] = {};
    }
  }
  bool allocate(int i, size_t bytes) {
    blocks[i].data = std::aligned_alloc(64, bytes);
    blocks[i].size = blocks[i].data ? bytes : 0;
    return blocks[i].data;
  }
  void next_block(size_t bytes) {
    const int next = blocks[block].data ? block + 1 : block;
    if (next == most) throw std::bad_alloc();
    if (blocks[next].size < bytes) {
      size_t all = 0;
      for (int i = 0; i < next; ++i) all += blocks[i].size;
      release(next);
      if (!allocate(next, std::max(whole_lines(bytes + bytes / 4), all))) throw std::bad_alloc();
    }
    block = next, used = 0;
  }
  void join_blocks() {
    if (!blocks[1].data) return;
    release(0);
    allocate(0, whole_lines(deepest + deepest / 4));  // where this fails, the next use says so
  }
};
thread_local Stack stack;

}  // namespace

Scratch::Scratch() : block_(stack.block), used_(stack.used), live_(stack.live) {}

Scratch::~Scratch() {
  stack.block = block_, stack.used = used_, stack.live = live_;
  if (live_ == 0) stack.join_blocks();
}

void* Scratch::take_bytes(size_t bytes) {
  bytes = std::max<size_t>(whole_lines(bytes), 64);
  if (stack.blocks[stack.block].size - stack.used < bytes) stack.next_block(bytes);
  void* memory = static_cast<std::byte*>(stack.blocks[stack.block].data) + stack.used;
  stack.used += bytes, stack.live += bytes;
  stack.deepest = std::max(stack.deepest, stack.live);
  return memory;
}

}  // namespace pare::cpu
