// What tests tell the stand-in GPU, and what they ask it.
//
// It holds the runtime to the rules of CUDA: work on a stream is queued and runs when somebody
// waits; while a stream is captured nothing may wait for it or copy from or to pageable memory, and
// whoever tries spoils the capture; memory that was not allocated is not freed, and none while work
// is captured or by anybody but its owner; the legacy default stream, which waits for all others,
// is not used. What breaks a rule is kept in violations().
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cuda_runtime.h"

namespace stand_in {

// The n-th call of `function` from now on (1: the next) returns `error`.
void fail(const std::string& function, cudaError_t error, int n = 1);
// The next queued work fails when it runs; then whatever CUDA is asked for, until reset().
void break_device(cudaError_t error);
void reset();

struct Gpu {
  int count = 1, major = 9, minor = 0, compiled_for = 90, driver = 13000, runtime = 13000;
  size_t memory = size_t(80) << 30;  // bytes
};
extern Gpu gpu;

struct Held {
  size_t blocks = 0, bytes = 0, graphs = 0, executables = 0;
  bool operator==(const Held&) const = default;
};
Held held();
size_t calls(const std::string& function);
const std::vector<std::string>& violations();

// Queues or records work, as a kernel's launch does; an error where that is refused.
cudaError_t submit(cudaStream_t stream, std::function<void()> work);
// What a launch of the kernel at `entry` does: given its arguments' addresses, which it copies.
void define(const void* entry, std::function<std::function<void()>(void**)> kernel);
// Whether [p, p + bytes) lies in one block of the device.
bool on_device(const void* p, size_t bytes);

}  // namespace stand_in
