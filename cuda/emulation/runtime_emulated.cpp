// The emulated device: host memory, kernels that run at once.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cuda/emulation/memory.h"
#include "cuda/fault.h"
#include "cuda/host.h"
#include "cuda/runtime.h"

namespace pare::cuda {
namespace {

// Exactly as large as asked for, so that an index beyond it is noticed.
std::vector<void*>& lent_scratch() {
  static auto* blocks = new std::vector<void*>;
  return *blocks;
}

Status copy(void* to, const void* from, size_t bytes, Direction direction, char* error) {
  const bool writes = direction != Direction::to_host, reads = direction != Direction::from_host;
  if (bytes > 0 &&
      ((writes && !emulation::on_device(to)) || (reads && !emulation::on_device(from)) ||
       (!writes && emulation::on_device(to)) || (!reads && emulation::on_device(from)))) {
    std::snprintf(error, error_length, "a copy's pointers do not lie where its direction says");
    return Status::failed;
  }
  std::memcpy(to, from, bytes);
  return direction == Direction::to_host ? tell_fault(error) : Status::ok;
}

}  // namespace

Stream stream() { return {}; }

std::mutex& row_mutex() {
  static auto* m = new std::mutex;
  return *m;
}

void begin_row() {
  for (void* block : lent_scratch()) emulation::release(block);
  lent_scratch().clear();
}

void* scratch_bytes(size_t bytes) {
  void* block = emulation::allocate(std::max<size_t>(bytes, 1));
  if (!block)
    throw Failure(Status::out_of_memory,
                  "no memory for " + std::to_string(bytes) + " bytes of scratch");
  lent_scratch().push_back(block);
  return block;
}

bool start_device(DeviceProperties& p, char*) {
  std::snprintf(p.name, sizeof p.name, "CUDA kernels emulated on the CPU");
  p.memory_bytes = 0;
  p.capability = emulation::capability();
  p.multiprocessors = 2;  // few, so that small tensors go around every grid-stride loop
  set_fault_record(static_cast<Fault*>(emulation::allocate(sizeof(Fault))));
  return true;
}

void describe_backend(Backend& b) {
  b.name = "cuda-emulated";
  b.allocate = emulation::allocate;
  b.free = emulation::release;
  b.copy = copy;
  b.synchronize = tell_fault;
  b.lend = emulation::lend;
  b.reclaim = emulation::reclaim;
}

}  // namespace pare::cuda
