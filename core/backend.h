// The contract of a device: memory, and a table of kernels as plain functions over plain data.
//
// One row per kernel, built in or a user's; a device without a row for an op says so when the op is
// called. No exception and no C++ object crosses the boundary, so a backend may be a plug-in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/attrs.h"
#include "core/shape.h"

namespace pare {

// A tensor as kernels see it. data is null where a tensor is absent (not saved, not wanted).
struct TensorArg {
  void* data = nullptr;
  int64_t dims[Shape::max_rank] = {};
  int64_t elements = 0;
  int32_t rank = 0;
  DType dtype = DType::f32;
  Format format = Format::plain;

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// Everything a kernel gets. Forward kernels read inputs and write outputs. Backward kernels read
// what the op saves (inputs, outputs: others have null data) and grad_outputs, and write each
// grad_inputs[i] whose data is not null: adding to it where accumulate[i], else overwriting.
struct KernelArgs {
  const TensorArg* inputs = nullptr;
  const TensorArg* outputs = nullptr;
  const TensorArg* grad_outputs = nullptr;
  const TensorArg* grad_inputs = nullptr;
  const bool* accumulate = nullptr;
  const TensorArg* buffers = nullptr;  // running statistics and the like; written in training only
  int input_count = 0, output_count = 0, buffer_count = 0;
  const Attrs* attrs = nullptr;
  bool training = false;
  uint64_t key = 0;       // randomness of keyed ops: (seed, step, node name)
  char* error = nullptr;  // 256 bytes for a message when the status is not ok
};

enum class Status : int32_t { ok = 0, unsupported, out_of_memory, failed };
using KernelFn = Status (*)(const KernelArgs&);

// Name of a kernel: the op's name and ".forward" or ".backward" ("conv2d.forward"), or any name an
// op asks for by itself.
struct KernelRow {
  const char* name;
  int version;
  KernelFn fn;
};

constexpr int backend_abi = 1;
struct Backend {
  int abi = backend_abi;
  const char* name = nullptr;
  void* (*allocate)(size_t bytes) = nullptr;  // null on failure
  void (*free)(void*) = nullptr;
  void (*copy)(void* to, const void* from, size_t bytes,
               int direction) = nullptr;  // 0 within, 1 from host, 2 to host
  const KernelRow* rows = nullptr;
  int row_count = 0;
};

// The backend of a device; throws Error{device} when it is not present.
const Backend& backend_of(Device device);
void register_backend(DeviceType type, const Backend& backend);
// Adds (or replaces, by name) one kernel: how users' ops reach a device.
void register_kernel(const char* name, DeviceType type, KernelFn fn);

// A kernel looked up once per device and then called directly.
class Kernel {
 public:
  explicit Kernel(std::string_view name);
  bool on(Device device) const;
  // Runs it; a status other than ok becomes an Error naming the kernel and the device.
  void operator()(Device device, const KernelArgs& args) const;

 private:
  int index_;
};

}  // namespace pare
