// The host side of a kernel file: rows of kernels, element types, grids and scratch memory.
//
// A row is an ordinary function from KernelArgs to Status that launches kernels; it may throw
// Failure or Error. It works on arguments on the device alone and never waits for it.
#pragma once

#include <cstdio>
#include <exception>

#include "core/backend.h"
#include "core/typed.h"
#include "cuda/device.h"
#include "cuda/failure.h"

namespace pare::cuda {

// The stream everything is queued on, and what the device is.
Stream stream();
const DeviceProperties& properties();

// `count` elements of device memory, undefined, for the kernels that the running row launches. From
// the pool of the device, like a tensor that lives as long as the row.
void* scratch_bytes(size_t bytes);
template <class T>
T* scratch(int64_t count) {
  return static_cast<T*>(scratch_bytes(size_t(count) * sizeof(T)));
}
// Where scratch comes from while one lives. Rows run one at a time (DeviceTurn).
class RowScope {
 public:
  explicit RowScope(const KernelArgs& args);
  ~RowScope();
  RowScope(const RowScope&) = delete;
  RowScope& operator=(const RowScope&) = delete;
};

// A row without its exceptions; {"fill", 1, guarded<fill>} is an entry of the table.
template <KernelFn row>
Status guarded(const KernelArgs& args) {
  try {
    const RowScope scope(args);
    return row(args);
  } catch (const Failure& failure) {
    std::snprintf(args.error, error_length, "%s", failure.what());
    return failure.status;
  } catch (const std::exception& error) {
    std::snprintf(args.error, error_length, "%s", error.what());
    return Status::failed;
  }
}

// One list of rows per file of kernels; cuda/rows.cpp joins them.
struct KernelList {
  const KernelRow* rows;
  int count;
};

constexpr int threads_per_block = 256, warps_per_block = threads_per_block / warp_size;
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
// Blocks for a loop over n items with global_x() and grid_threads(): enough to fill the device.
// A result must not depend on this number: it differs between devices.
inline int64_t blocks_for(int64_t n) {
  const int64_t enough = int64_t(properties().multiprocessors) * 8;
  const int64_t all = ceil_div(n, threads_per_block);
  return all < enough ? all : enough;
}
// launch() over a number of items, on the stream.
template <class... Params, class... Args>
void launch_over(void (*kernel)(Params...), const Items& items, Args&&... args) {
  launch(kernel, items.grid(blocks_for(items.count)), threads_per_block, 0, stream(),
         std::forward<Args>(args)...);
}

}  // namespace pare::cuda
