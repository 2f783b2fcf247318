// The GPU: memory, copies and errors over the CUDA runtime, which is linked statically, so that the
// plug-in loads where no toolkit is installed; the driver is found when the first call runs.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "cuda/fault.h"
#include "cuda/host.h"
#include "cuda/runtime.h"
#include "cuda/trouble.h"

namespace pare::cuda {
namespace {

Trouble trouble_of(cudaError_t result) {
  switch (result) {
    case cudaErrorInsufficientDriver: {
      int driver = 0;
      cudaDriverGetVersion(&driver);
      return driver == 0 ? Trouble::no_driver : Trouble::old_driver;
    }
    case cudaErrorNoDevice:
      return Trouble::no_gpu;
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return Trouble::no_kernel_image;
    case cudaErrorMemoryAllocation:
      return Trouble::out_of_memory;
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorDevicesUnavailable:
      return Trouble::lost;
    default:
      return Trouble::other;
  }
}

std::string remedy(cudaError_t result) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  return remedy(trouble_of(result), driver, runtime);
}

std::string text_of(cudaError_t result) {
  const std::string more = remedy(result);
  return std::string(cudaGetErrorString(result)) + (more.empty() ? "" : ": " + more);
}

Status tell(cudaError_t result, char* error) {
  if (result == cudaSuccess) return Status::ok;
  std::snprintf(error, error_length, "%s", text_of(result).c_str());
  return result == cudaErrorMemoryAllocation ? Status::out_of_memory : Status::failed;
}

cudaStream_t the_stream = nullptr;
bool capturing = false;

Status synchronize(char* error) {
  const Status status = tell(cudaStreamSynchronize(the_stream), error);
  return status == Status::ok ? tell_fault(error) : status;
}

Status copy(void* to, const void* from, size_t bytes, Direction direction, char* error) {
  static constexpr cudaMemcpyKind kinds[] = {cudaMemcpyDeviceToDevice, cudaMemcpyHostToDevice,
                                             cudaMemcpyDeviceToHost};
  if (capturing && direction != Direction::within) {
    std::snprintf(error, error_length, "a copy from or to the host cannot be recorded");
    return Status::failed;
  }
  const Status status =
      tell(cudaMemcpyAsync(to, from, bytes, kinds[int(direction)], the_stream), error);
  if (status != Status::ok || direction == Direction::within) return status;
  // Pageable host memory may be given back by the caller as soon as this returns.
  return synchronize(error);
}

// Memory may be allocated while this thread's work is recorded: it is not part of the graph.
Status begin_capture(char* error) {
  const Status status =
      tell(cudaStreamBeginCapture(the_stream, cudaStreamCaptureModeRelaxed), error);
  capturing = status == Status::ok;
  return status;
}

Status end_capture(void** graph, char* error) {
  capturing = false;
  cudaGraph_t recorded = nullptr;
  cudaGraphExec_t ready = nullptr;
  Status status = tell(cudaStreamEndCapture(the_stream, &recorded), error);
  if (status == Status::ok) status = tell(cudaGraphInstantiate(&ready, recorded, 0), error);
  if (recorded) cudaGraphDestroy(recorded);
  cudaGetLastError();
  *graph = ready;
  return status;
}

Status replay(void* graph, char* error) {
  return tell(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), the_stream), error);
}

// Scratch memory: blocks that only grow. One that became too small stays, because work that is
// queued, or captured in a graph, still uses it.
struct Scratch {
  std::vector<void*> retired;
  char* block = nullptr;
  size_t size = 0, used = 0;
};
Scratch& pool() {
  static auto* s = new Scratch;
  return *s;
}

}  // namespace

void require(cudaError_t result) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // an error of one call must not be told again by the next
  throw Failure(result == cudaErrorMemoryAllocation ? Status::out_of_memory : Status::failed,
                text_of(result));
}

Stream stream() { return the_stream; }

std::mutex& row_mutex() {
  static auto* m = new std::mutex;
  return *m;
}

void begin_row() { pool().used = 0; }

void* scratch_bytes(size_t bytes) {
  Scratch& s = pool();
  const size_t whole = (bytes + 255) / 256 * 256;
  if (s.used + whole > s.size) {
    size_t size = std::max<size_t>(2 * (s.used + whole), size_t(1) << 20);
    void* block = nullptr;
    if (cudaMalloc(&block, size) == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      size = whole;  // room to grow is a wish only
      require(cudaMalloc(&block, size));
    }
    if (s.block) s.retired.push_back(s.block);
    s.block = static_cast<char*>(block);
    s.size = size;
    s.used = 0;
  }
  void* p = s.block + s.used;
  s.used += whole;
  return p;
}

namespace {
__global__ void probe() {}
}  // namespace

bool start_device(DeviceProperties& p, char* why) {
  const auto works = [&](cudaError_t result) {
    const std::string more = remedy(result);
    if (result != cudaSuccess)
      std::snprintf(why, error_length, "%s",
                    more.empty() ? cudaGetErrorString(result) : more.c_str());
    return result == cudaSuccess;
  };
  int count = 0;
  cudaDeviceProp found;
  if (!works(cudaGetDeviceCount(&count)) || !works(cudaGetDeviceProperties(&found, 0)) ||
      !works(cudaStreamCreateWithFlags(&the_stream, cudaStreamNonBlocking)))
    return false;
  std::snprintf(p.name, sizeof p.name, "%s", found.name);
  p.memory_bytes = found.totalGlobalMem;
  p.capability = found.major * 10 + found.minor;
  p.multiprocessors = found.multiProcessorCount;
  void* record = nullptr;  // the host's memory, at the same address for both
  if (!works(cudaHostAlloc(&record, sizeof(Fault), cudaHostAllocMapped))) return false;
  set_fault_record(static_cast<Fault*>(record));
  cudaFuncAttributes attributes;  // fails where the plug-in holds no code for this GPU
  return works(cudaFuncGetAttributes(&attributes, probe));
}

void describe_backend(Backend& b) {
  b.name = "cuda";
  b.allocate = [](size_t bytes) {
    void* block = nullptr;
    if (cudaMalloc(&block, bytes) == cudaSuccess) return block;
    cudaGetLastError();
    return static_cast<void*>(nullptr);
  };
  b.free = [](void* block) { cudaFree(block); };
  b.copy = copy;
  b.synchronize = synchronize;
  b.begin_capture = begin_capture;
  b.end_capture = end_capture;
  b.replay = replay;
  b.drop_graph = [](void* graph) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)); };
}

}  // namespace pare::cuda
