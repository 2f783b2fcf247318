#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "control.h"

struct CUstream_st {
  std::deque<std::function<void()>> queue;
  bool capturing = false, spoilt = false;
  CUgraph_st* graph = nullptr;
};
struct CUgraph_st {
  std::vector<std::function<void()>> work;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};

namespace stand_in {

Gpu gpu;

namespace {

struct State {
  std::map<std::string, std::pair<int, cudaError_t>> planned;
  std::map<std::string, size_t> calls;
  std::map<char*, size_t> blocks;
  std::map<const void*, std::function<std::function<void()>(void**)>> kernels;
  std::set<CUgraph_st*> graphs;
  std::set<CUgraphExec_st*> executables;
  std::vector<std::string> violations;
  cudaError_t last = cudaSuccess, sticky = cudaSuccess, breaks = cudaSuccess;
  bool capturing = false;
};
State& state() {
  static auto* s = new State;
  return *s;
}

cudaError_t tell(cudaError_t error) {
  if (error != cudaSuccess) state().last = error;
  return error;
}
// What a call returns before it does anything.
cudaError_t enter(const char* function) {
  State& s = state();
  ++s.calls[function];
  if (s.sticky != cudaSuccess) return tell(s.sticky);
  const auto at = s.planned.find(function);
  if (at == s.planned.end() || --at->second.first > 0) return cudaSuccess;
  const cudaError_t error = at->second.second;
  s.planned.erase(at);
  return tell(error);
}
void violated(const std::string& what) { state().violations.push_back(what); }

}  // namespace

void fail(const std::string& function, cudaError_t error, int n) {
  state().planned[function] = {n, error};
}
void break_device(cudaError_t error) { state().breaks = error; }
void reset() {
  State& s = state();
  s.planned.clear();
  s.violations.clear();
  s.last = s.sticky = s.breaks = cudaSuccess;
  gpu = {};
}
Held held() {
  Held h{state().blocks.size(), 0, state().graphs.size(), state().executables.size()};
  for (const auto& [block, bytes] : state().blocks) h.bytes += bytes;
  return h;
}
size_t calls(const std::string& function) { return state().calls[function]; }
const std::vector<std::string>& violations() { return state().violations; }
void define(const void* entry, std::function<std::function<void()>(void**)> kernel) {
  state().kernels[entry] = std::move(kernel);
}
bool on_device(const void* p, size_t bytes) {
  const auto& blocks = state().blocks;
  auto* at = static_cast<char*>(const_cast<void*>(p));
  auto next = blocks.upper_bound(at);
  if (next == blocks.begin()) return false;
  --next;
  return at + bytes <= next->first + next->second;
}

cudaError_t submit(cudaStream_t stream, std::function<void()> work) {
  if (!stream) {
    violated("work on the legacy default stream");
    return tell(cudaErrorInvalidValue);
  }
  if (stream->spoilt) return tell(cudaErrorStreamCaptureInvalidated);
  if (stream->capturing)
    stream->graph->work.push_back(std::move(work));
  else
    stream->queue.push_back(std::move(work));
  return cudaSuccess;
}

}  // namespace stand_in

using namespace stand_in;

extern "C" {
cudaError_t cudaDriverGetVersion(int* v) { return *v = gpu.driver, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* v) { return *v = gpu.runtime, cudaSuccess; }
const char* cudaGetErrorString(cudaError_t e) {
  static thread_local char text[32];
  std::snprintf(text, sizeof text, "CUDA error %d", int(e));
  return text;
}
cudaError_t cudaGetLastError() {
  const cudaError_t e = state().last;
  state().last = state().sticky;
  return e;
}
cudaError_t cudaGetDeviceCount(int* n) {
  if (const cudaError_t e = enter("cudaGetDeviceCount")) return e;
  *n = gpu.count;
  return gpu.count ? cudaSuccess : tell(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int n) {
  if (const cudaError_t e = enter("cudaSetDevice")) return e;
  return n < gpu.count ? cudaSuccess : tell(cudaErrorInvalidValue);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int n) {
  if (const cudaError_t e = enter("cudaGetDeviceProperties")) return e;
  if (n >= gpu.count) return tell(cudaErrorInvalidValue);
  *p = {};
  std::snprintf(p->name, sizeof p->name, "stand-in %d", n);
  p->totalGlobalMem = gpu.memory;
  p->major = gpu.major, p->minor = gpu.minor, p->multiProcessorCount = 132;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  if (const cudaError_t e = enter("cudaMemGetInfo")) return e;
  *total = gpu.memory;
  *free = *total - held().bytes;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** block, size_t bytes) {
  if (const cudaError_t e = enter("cudaMalloc")) return e;
  if (held().bytes + bytes > gpu.memory) return tell(cudaErrorMemoryAllocation);
  *block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*block, 0x7f, bytes);
  state().blocks[static_cast<char*>(*block)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* block) {
  if (const cudaError_t e = enter("cudaFree")) return e;
  if (!block) return cudaSuccess;
  if (state().capturing) violated("cudaFree while work is captured");
  if (state().blocks.erase(static_cast<char*>(block)) == 0) {
    violated("cudaFree of what is no block");
    return tell(cudaErrorInvalidValue);
  }
  std::free(block);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** block, size_t bytes, unsigned) {
  if (const cudaError_t e = enter("cudaHostAlloc")) return e;
  *block = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (const cudaError_t e = enter("cudaStreamCreateWithFlags")) return e;
  if (flags != cudaStreamNonBlocking) violated("a stream that waits for the default stream");
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return enter("cudaStreamDestroy");
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (const cudaError_t e = enter("cudaMemcpyAsync")) return e;
  const bool to_device = kind != cudaMemcpyDeviceToHost,
             from_device = kind != cudaMemcpyHostToDevice;
  if (bytes && ((to_device && !on_device(to, bytes)) || (from_device && !on_device(from, bytes))))
    return tell(cudaErrorInvalidValue);
  if (stream && stream->capturing && kind != cudaMemcpyDeviceToDevice) {
    violated("a copy of pageable memory while work is captured");
    stream->spoilt = true;
    return tell(cudaErrorStreamCaptureUnsupported);
  }
  return submit(stream, [=] {
    if (bytes) std::memcpy(to, from, bytes);
  });
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t e = enter("cudaStreamSynchronize")) return e;
  if (stream->capturing) {
    violated("waiting for a stream that is captured");
    stream->spoilt = true;
    return tell(cudaErrorStreamCaptureUnsupported);
  }
  while (!stream->queue.empty()) {
    const auto work = std::move(stream->queue.front());
    stream->queue.pop_front();
    if (state().breaks != cudaSuccess) {
      state().sticky = state().breaks;
      stream->queue.clear();
      return tell(state().sticky);
    }
    work();
  }
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (const cudaError_t e = enter("cudaStreamBeginCapture")) return e;
  if (stream->capturing) return tell(cudaErrorStreamCaptureUnsupported);
  stream->graph = new CUgraph_st;
  state().graphs.insert(stream->graph);
  state().capturing = stream->capturing = true;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  CUgraph_st* const recorded = std::exchange(stream->graph, nullptr);
  const bool spoilt = std::exchange(stream->spoilt, false);
  state().capturing = stream->capturing = false;
  const cudaError_t e = enter("cudaStreamEndCapture");
  if (e != cudaSuccess || spoilt) {
    state().graphs.erase(recorded);
    delete recorded;
    *graph = nullptr;
    return e != cudaSuccess ? e : tell(cudaErrorStreamCaptureInvalidated);
  }
  *graph = recorded;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  if (const cudaError_t e = enter("cudaStreamIsCapturing")) return e;
  *status = stream->capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* ready, cudaGraph_t graph, unsigned long long) {
  if (const cudaError_t e = enter("cudaGraphInstantiate")) return e;
  *ready = new CUgraphExec_st{graph->work};
  state().executables.insert(*ready);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  ++state().calls["cudaGraphDestroy"];
  if (state().graphs.erase(graph) == 0)
    return violated("a graph destroyed twice"), cudaErrorInvalidValue;
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t ready, cudaStream_t stream) {
  if (const cudaError_t e = enter("cudaGraphLaunch")) return e;
  if (!state().executables.contains(ready)) {
    violated("a graph launched after its end");
    return tell(cudaErrorInvalidValue);
  }
  for (const auto& work : ready->work)
    if (const cudaError_t e = submit(stream, work)) return e;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t ready) {
  ++state().calls["cudaGraphExecDestroy"];
  if (state().executables.erase(ready) == 0)
    return violated("an executable graph destroyed twice"), cudaErrorInvalidValue;
  delete ready;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return enter("cudaFuncSetAttribute");
}
cudaError_t cudaLaunchKernel(const void* entry, dim3, dim3, void** arguments, size_t,
                             cudaStream_t stream) {
  if (const cudaError_t e = enter("cudaLaunchKernel")) return e;
  const auto at = state().kernels.find(entry);
  if (at == state().kernels.end()) return tell(cudaErrorInvalidDeviceFunction);
  return submit(stream, at->second(arguments));
}
}

cudaError_t stand_in_attributes(cudaFuncAttributes* attributes) {
  if (const cudaError_t e = enter("cudaFuncGetAttributes")) return e;
  attributes->ptxVersion = gpu.compiled_for;
  return cudaSuccess;
}
