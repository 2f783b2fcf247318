// The contract of a device: memory, and a table of kernels as plain functions over plain data.
//
// One row per kernel, built in or a user's; a device without a row for an op says so when the op is
// called. No exception and no C++ object crosses the boundary, so a backend may be a plug-in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

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

// How matrix products and convolutions multiply the elements of f32 tensors, on devices that have
// the units for it (CUDA from compute capability 8.0 on); elsewhere, and for f64, it changes
// nothing. Sums are f32, and so are the tensors.
enum class Precision : int32_t {
  fp32,  // as they are
  tf32,  // factors rounded to 11 significant bits
  bf16,  // factors rounded to 8 significant bits
};

constexpr int error_length = 512;
enum class Status : int32_t { ok = 0, unsupported, out_of_memory, failed };

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
  // Randomness of keyed ops: (seed, step, node name). In recorded work, where the step is another
  // at every replay, run_key is the place in device memory that holds the part of seed and step,
  // and key is mix_keys(*run_key, key).
  uint64_t key = 0;
  const uint64_t* run_key = nullptr;
  // Filled in by Kernel: the calling thread's precision; memory from the device's pool, undefined,
  // good until the kernel returns (until what it queued is done); error_length bytes for a message
  // when the status is not ok.
  Precision precision = Precision::fp32;
  Status (*scratch)(void* scratch_of, size_t bytes, void** block, char* error) = nullptr;
  void* scratch_of = nullptr;
  char* error = nullptr;
};

using KernelFn = Status (*)(const KernelArgs&);

// Name of a kernel: the op's name and ".forward" or ".backward" ("conv2d.forward"), or any name an
// op asks for by itself.
struct KernelRow {
  const char* name;
  int version;
  KernelFn fn;
};

enum class Direction : int32_t { within, from_host, to_host };

struct DeviceProperties {
  char name[128] = "";          // as the maker calls it
  uint64_t memory_bytes = 0;    // 0: the host's
  int32_t multiprocessors = 0;  // 0 where the word means nothing
  // CUDA compute capabilities, 90 for 9.0, or 0: the GPU's, and the one whose instructions its
  // kernels may use, lower where they were compiled for older GPUs.
  int32_t gpu_capability = 0, capability = 0;
  char products[64] = "";  // the library that multiplies matrices; "": own kernels
};

// Work is queued on one stream of the device in the order of the calls: a kernel may run after its
// call returned, and a block that was freed may be handed out again at once. `copy` to the host
// waits for what was queued before it; an error of a kernel may therefore be told by a later call.
// One thread at a time calls a backend (DeviceTurn), but for allocate, free, lend and reclaim.
constexpr int backend_abi = 4;
struct Backend {
  int abi = backend_abi;
  const char* name = nullptr;
  // `error` holds error_length bytes here and below. out_of_memory where less in use would help;
  // failed where the device cannot be used any more. `block` is set where it returns ok.
  Status (*allocate)(size_t bytes, void** block, char* error) = nullptr;
  void (*free)(void*) = nullptr;
  Status (*copy)(void* to, const void* from, size_t bytes, Direction, char* error) = nullptr;
  Status (*synchronize)(char* error) = nullptr;  // null: nothing is ever queued
  // Told when the pool hands a block of `capacity` bytes out for `bytes`, and takes it back: for
  // checks of who touches what. May be null.
  void (*lend)(void* block, size_t bytes, size_t capacity) = nullptr;
  void (*reclaim)(void* block, size_t capacity) = nullptr;
  // Recorded work, for DeviceGraph (core/device_graph.h); all null where the device has none.
  // Between begin and end, kernels and copies within the device are recorded with their arguments
  // instead of run; a copy from or to the host, or waiting, fails then. Nobody else calls the
  // device meanwhile, and nothing is freed. `end_capture` always ends it; `graph` is null unless it
  // returns ok. Each replay queues the recorded work once more.
  Status (*begin_capture)(char* error) = nullptr;
  Status (*end_capture)(void** graph, char* error) = nullptr;
  Status (*replay)(void* graph, char* error) = nullptr;
  void (*drop_graph)(void* graph) = nullptr;
  DeviceProperties properties;
  const KernelRow* rows = nullptr;
  int row_count = 0;
};

// What a plug-in with a backend exports under the name "pare_backend": its backend, or null where
// the device cannot be used; `why` (error_length bytes) then says why and what to do.
using BackendEntry = const Backend* (*)(char* why);

// The backend of a device, its plug-in loaded on first use; throws Error{device} saying what is
// missing when there is none.
const Backend& backend_of(Device device);
void register_backend(DeviceType type, const Backend& backend);
// Adds (or replaces, by name) one kernel: how users' ops reach a device.
void register_kernel(const char* name, DeviceType type, KernelFn fn);
// Names of the kernels that the CPU has and `device` lacks, sorted; without those that are meant
// for the CPU alone (core/cpu/backend_cpu.h).
std::vector<std::string> missing_kernels(Device device);
// Copies bytes between the host and `device`, or within it; throws Error{device}.
void copy_bytes(Device device, void* to, const void* from, size_t bytes, Direction direction);
// Waits until everything queued on `device` is done; throws Error{device} where some of it failed.
void synchronize(Device device);

// While one lives, the thread has the device to itself: calls of others wait. Kernels, copies and
// waiting take it for the call, a recording from its begin to its end. May be taken again by the
// thread that has it; free on the CPU.
class DeviceTurn {
 public:
  explicit DeviceTurn(Device device);

 private:
  std::unique_lock<std::recursive_mutex> lock_;
};

// The precision of kernels that this thread calls: the innermost scope's, else that of the
// environment's PARE_PRECISION (fp32, tf32, bf16), else fp32. Backward passes do not remember that
// of the forward: keep the scope around both.
Precision current_precision();
class PrecisionScope {
 public:
  explicit PrecisionScope(Precision precision);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

 private:
  Precision previous_;
};
// "tf32" and the like; an unknown name throws Error{usage}.
Precision precision_named(std::string_view name);
const char* to_string(Precision precision);

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
