#include "core/backend.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "core/cpu/backend_cpu.h"
#include "core/denormals.h"
#include "core/device.h"
#include "core/kernel_check.h"
#include "core/storage.h"

namespace pare {
namespace {

constexpr int device_types = 3;

struct Registry {
  std::mutex mutex;
  Backend backends[device_types];
  std::atomic<bool> present[device_types] = {};
  std::recursive_mutex turns[device_types];
  std::map<std::string, int, std::less<>> index;
  std::vector<const char*> names;
  // fn[type][index]; a fixed block so that calls need no lock.
  static constexpr int max_kernels = 1024;
  std::atomic<KernelFn> fn[device_types][max_kernels] = {};

  int index_of(std::string_view name) {
    if (const auto it = index.find(name); it != index.end()) return it->second;
    check(int(names.size()) < max_kernels, "more than {} kernels", max_kernels);
    const int i = int(names.size());
    names.push_back(intern(name));
    index.emplace(name, i);
    return i;
  }
  void add(int type, const Backend& b) {
    check(b.abi == backend_abi, ErrorCode::device, "backend '{}' speaks contract {}, this is {}",
          b.name, b.abi, backend_abi);
    backends[type] = b;
    for (int i = 0; i < b.row_count; ++i) fn[type][index_of(b.rows[i].name)] = b.rows[i].fn;
    present[type] = true;
  }
};

Registry& registry() {
  static Registry* r = [] {
    auto* made = new Registry;
    made->add(int(DeviceType::cpu), cpu::backend());
    return made;
  }();
  return *r;
}

constexpr std::string_view precision_names[] = {"fp32", "tf32", "bf16"};

Precision& precision_of_thread() {
  static const Precision initial = [] {
    const char* name = std::getenv("PARE_PRECISION");
    return name && *name ? precision_named(name) : Precision::fp32;
  }();
  thread_local Precision precision = initial;
  return precision;
}

thread_local KernelWatch* watch = nullptr;

// Scratch memory of one call of a kernel.
struct Scratch {
  Device device;
  std::vector<StoragePtr> blocks;

  static Status lend(void* scratch_of, size_t bytes, void** block, char* error) {
    auto& own = *static_cast<Scratch*>(scratch_of);
    try {
      own.blocks.push_back(allocate_storage(bytes, own.device));
      *block = own.blocks.back()->data;
      return Status::ok;
    } catch (const Error& e) {
      std::snprintf(error, error_length, "%s", e.what());
      return e.code() == ErrorCode::io ? Status::out_of_memory : Status::failed;
    }
  }
};

}  // namespace

Precision current_precision() { return precision_of_thread(); }

PrecisionScope::PrecisionScope(Precision precision)
    : previous_(std::exchange(precision_of_thread(), precision)) {}
PrecisionScope::~PrecisionScope() { precision_of_thread() = previous_; }

Precision precision_named(std::string_view name) {
  for (size_t i = 0; i < std::size(precision_names); ++i)
    if (name == precision_names[i]) return Precision(i);
  fail(ErrorCode::usage, "precision '{}' is unknown{}", name,
       suggest(name, precision_names, std::size(precision_names)));
}

const char* to_string(Precision precision) { return precision_names[size_t(precision)].data(); }

const Backend& backend_of(Device device) {
  Registry& r = registry();
  if (!r.present[int(device.type)].load(std::memory_order_acquire)) {
    const DeviceState& state = probe_device(device.type);
    check(state.present, ErrorCode::device, "device {}: {}", device, state.description);
  }
  return r.backends[int(device.type)];
}

void register_backend(DeviceType type, const Backend& backend) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  r.add(int(type), backend);
}

void register_kernel(const char* name, DeviceType type, KernelFn fn) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  r.fn[int(type)][r.index_of(name)] = fn;
}

std::vector<std::string> missing_kernels(Device device) {
  backend_of(device);
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  std::vector<std::string> missing;
  const auto own = cpu::own_kernels();
  for (size_t i = 0; i < r.names.size(); ++i)
    if (std::find(own.begin(), own.end(), r.names[i]) == own.end() &&
        r.fn[int(DeviceType::cpu)][i].load() && !r.fn[int(device.type)][i].load())
      missing.emplace_back(r.names[i]);
  std::sort(missing.begin(), missing.end());
  return missing;
}

KernelWatch::KernelWatch() : previous_(std::exchange(watch, this)) {}
KernelWatch::~KernelWatch() { watch = previous_; }

std::vector<std::string> kernels_on(Device device) {
  backend_of(device);
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  std::vector<std::string> names;
  for (size_t i = 0; i < r.names.size(); ++i)
    if (r.fn[int(device.type)][i].load()) names.emplace_back(r.names[i]);
  std::sort(names.begin(), names.end());
  return names;
}

KernelFn kernel_function(std::string_view name, DeviceType type) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  const auto it = r.index.find(name);
  return it == r.index.end() ? nullptr : r.fn[int(type)][it->second].load();
}

DeviceTurn::DeviceTurn(Device device)
    : lock_(device.type == DeviceType::cpu ? std::unique_lock<std::recursive_mutex>()
                                           : std::unique_lock(registry().turns[int(device.type)])) {
}

void copy_bytes(Device device, void* to, const void* from, size_t bytes, Direction direction) {
  char text[error_length] = "";
  const DeviceTurn turn(device);
  if (backend_of(device).copy(to, from, bytes, direction, text) == Status::ok) return;
  fail(ErrorCode::device, "copying {} bytes on {}: {}", bytes, device, text);
}

void synchronize(Device device) {
  const Backend& backend = backend_of(device);
  char text[error_length] = "";
  const DeviceTurn turn(device);
  if (!backend.synchronize || backend.synchronize(text) == Status::ok) return;
  fail(ErrorCode::device, "{}: {}", device, text);
}

Kernel::Kernel(std::string_view name) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  index_ = r.index_of(name);
}

bool Kernel::on(Device device) const {
  return registry().fn[int(device.type)][index_].load(std::memory_order_relaxed) != nullptr;
}

void Kernel::operator()(Device device, const KernelArgs& args) const {
  const FlushDenormals flush;
  Registry& r = registry();
  const KernelFn fn = r.fn[int(device.type)][index_].load(std::memory_order_relaxed);
  if (!fn)
    fail(ErrorCode::device, "kernel '{}' is not on device '{}'; use --device cpu",
         r.names[size_t(index_)], device);
  KernelArgs with_error = args;
  char text[error_length] = "";
  with_error.error = text;
  with_error.precision = current_precision();
  Scratch scratch{device, {}};
  with_error.scratch = Scratch::lend;
  with_error.scratch_of = &scratch;
  const DeviceTurn turn(device);
  const Status status =
      watch ? watch->call(r.names[size_t(index_)], device, fn, with_error) : fn(with_error);
  if (status == Status::ok) return;
  if (status == Status::out_of_memory) {
    // The driver may want memory too, to load a kernel say.
    const size_t freed = release_cached(device);
    fail(ErrorCode::io, "kernel '{}' on {}: {}{}", r.names[size_t(index_)], device, text,
         freed ? message("; {} free bytes were given back, so a second try may do", freed) : "");
  }
  // The CPU does not fail: its kernels refuse what they were given (a label out of range).
  const bool refused = status == Status::failed && device.type == DeviceType::cpu;
  fail(refused ? ErrorCode::bad_input : ErrorCode::device, "kernel '{}' on {}: {}",
       r.names[size_t(index_)], device, text[0] ? text : "unsupported element type or format");
}

}  // namespace pare
