// The GPU: memory, copies and errors over the CUDA runtime, which is linked statically, so that the
// plug-in loads where no toolkit is installed; the driver is found when the first call runs.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "cuda/fault.h"
#include "cuda/host.h"
#include "cuda/runtime.h"
#include "cuda/trouble.h"

namespace pare::cuda {
namespace {

Trouble trouble_of(cudaError_t result) {
  switch (result) {
    case cudaErrorInsufficientDriver:
    case cudaErrorCallRequiresNewerDriver: {
      int driver = 0;
      cudaDriverGetVersion(&driver);
      return driver == 0 ? Trouble::no_driver : Trouble::old_driver;
    }
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      return Trouble::old_driver;
    case cudaErrorStubLibrary:
      return Trouble::no_driver;
    case cudaErrorNoDevice:
      return Trouble::no_gpu;
    case cudaErrorDevicesUnavailable:
    case cudaErrorDeviceAlreadyInUse:
    case cudaErrorSystemNotReady:
    case cudaErrorMpsConnectionFailed:
    case cudaErrorMpsServerNotReady:
    case cudaErrorMpsMaxClientsReached:
    case cudaErrorMpsMaxConnectionsReached:
      return Trouble::busy_gpu;
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorInvalidKernelImage:
    case cudaErrorJitCompilerNotFound:
    case cudaErrorJitCompilationDisabled:
      return Trouble::no_kernel_image;
    case cudaErrorMemoryAllocation:
      return Trouble::out_of_memory;
    // Those of which driver_types.h says that the process must be ended and started again, and a
    // few after which nothing works either.
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorMpsClientTerminated:
    case cudaErrorMpsRpcFailure:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
#if CUDART_VERSION >= 12080
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
#endif
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

// Kernels and replays fail after their call has returned: such an error comes with a later call,
// which has no part in it.
std::string text_of(cudaError_t result) {
  const std::string before =
      trouble_of(result) == Trouble::lost ? "found by work that was queued before: " : "";
  const std::string more = remedy(result);
  return before + cudaGetErrorString(result) + (more.empty() ? "" : ": " + more);
}

Status tell(cudaError_t result, char* error) {
  if (result == cudaSuccess) return Status::ok;
  cudaGetLastError();  // an error of one call must not be told again by the next
  std::snprintf(error, error_length, "%s", text_of(result).c_str());
  return result == cudaErrorMemoryAllocation ? Status::out_of_memory : Status::failed;
}

cudaStream_t the_stream = nullptr;
bool capturing = false;

Status refuse(const char* what, char* error) {
  std::snprintf(error, error_length, "%s cannot be recorded", what);
  return Status::failed;
}

Status synchronize(char* error) {
  if (capturing) return refuse("waiting for the device", error);
  const Status status = tell(cudaStreamSynchronize(the_stream), error);
  return status == Status::ok ? tell_fault(error) : status;
}

Status copy(void* to, const void* from, size_t bytes, Direction direction, char* error) {
  static constexpr cudaMemcpyKind kinds[] = {cudaMemcpyDeviceToDevice, cudaMemcpyHostToDevice,
                                             cudaMemcpyDeviceToHost};
  if (capturing && direction != Direction::within)
    return refuse("a copy from or to the host", error);
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

}  // namespace

void require(cudaError_t result) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // an error of one call must not be told again by the next
  throw Failure(result == cudaErrorMemoryAllocation ? Status::out_of_memory : Status::failed,
                text_of(result));
}

Stream stream() { return the_stream; }

namespace {
__global__ void probe() {}
}  // namespace

bool start_device(DeviceProperties& p, char* why) {
  const auto say = [&](const std::string& text) {
    std::snprintf(why, error_length, "%s", text.c_str());
    return false;
  };
  // What would be the end of a running process is here one of a start: what CUDA says will do.
  const auto works = [&](cudaError_t result) {
    if (result == cudaSuccess) return true;
    const bool known = trouble_of(result) != Trouble::lost && !remedy(result).empty();
    return say(known ? remedy(result)
                     : std::string("the GPU cannot be used: ") + cudaGetErrorString(result) +
                           "; use --device cpu");
  };
  int count = 0;
  cudaDeviceProp found;
  if (!works(cudaGetDeviceCount(&count)) || !works(cudaGetDeviceProperties(&found, 0)))
    return false;
  std::snprintf(p.name, sizeof p.name, "%.127s", found.name);
  p.memory_bytes = found.totalGlobalMem;
  p.gpu_capability = found.major * 10 + found.minor;
  p.multiprocessors = found.multiProcessorCount;
  if (p.gpu_capability < oldest_capability) return say(remedy(Trouble::old_gpu));
  cudaFuncAttributes attributes;  // fails where the plug-in holds no code for this GPU
  if (!works(cudaFuncGetAttributes(&attributes, probe))) return false;
  if (!works(cudaStreamCreateWithFlags(&the_stream, cudaStreamNonBlocking))) return false;
  void* record = nullptr;  // the host's memory, at the same address for both
  if (!works(cudaHostAlloc(&record, sizeof(Fault), cudaHostAllocMapped))) {
    cudaStreamDestroy(the_stream);
    return false;
  }
  set_fault_record(static_cast<Fault*>(record));
  // A GPU may run code that was compiled for an older one. Then __CUDA_ARCH__ was the older one's,
  // and kernels for tensor cores that it lacked are empty.
  p.capability = std::min(p.gpu_capability, attributes.ptxVersion);
  return true;
}

void tell_facts(Tell tell, void* to) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  tell(to, "driver", driver ? ("serves CUDA " + cuda_version(driver)).c_str() : "none");
  tell(to, "CUDA runtime", cuda_version(runtime).c_str());
  tell(to, "kernels compiled for", PARE_CUDA_COMPILED_FOR);
  if (!the_stream) return;
  size_t free = 0, total = 0;
  const cudaError_t result = cudaMemGetInfo(&free, &total);
  cudaGetLastError();
  const auto megabytes = [](size_t bytes) { return std::to_string(bytes / 1000000) + " MB"; };
  tell(to, "free memory",
       (result == cudaSuccess ? megabytes(free) + " of " + megabytes(total) : text_of(result))
           .c_str());
  tell(to, "recorded steps", "yes");
}

void describe_backend(Backend& b) {
  b.name = "cuda";
  b.allocate = [](size_t bytes, void** block, char* error) {
    return tell(cudaMalloc(block, bytes), error);
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
