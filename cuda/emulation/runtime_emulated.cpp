// The emulated device: host memory, kernels that run at once.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "cuda/emulation/breakdown.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/recording.h"
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

Status say(const std::string& text, char* error) {
  std::snprintf(error, error_length, "%s", text.c_str());
  return Status::failed;
}

Status copy(void* to, const void* from, size_t bytes, Direction direction, char* error) {
  const bool writes = direction != Direction::to_host, reads = direction != Direction::from_host;
  if (bytes > 0 &&
      ((writes && !emulation::on_device(to)) || (reads && !emulation::on_device(from)) ||
       (!writes && emulation::on_device(to)) || (!reads && emulation::on_device(from)))) {
    return say("a copy's pointers do not lie where its direction says", error);
  }
  if (emulation::lost()) return say(emulation::lost_text(), error);
  if (emulation::Recording* recording = emulation::current_recording()) {
    if (direction != Direction::within)
      return say("a copy from or to the host cannot be recorded", error);
    recording->work.push_back([=] { std::memcpy(to, from, bytes); });
    return Status::ok;
  }
  std::memcpy(to, from, bytes);
  return direction == Direction::to_host ? tell_fault(error) : Status::ok;
}

void drop_scratch() {
  for (void* block : lent_scratch()) emulation::release(block);
  lent_scratch().clear();
}
// What a recorded row lent itself stays with the recording.
void keep_scratch(emulation::Recording& recording) {
  recording.scratch.insert(recording.scratch.end(), lent_scratch().begin(), lent_scratch().end());
  lent_scratch().clear();
}

Status begin_capture(char* error) {
  drop_scratch();
  return emulation::begin_recording() ? Status::ok : say("work is being recorded already", error);
}
Status end_capture(void** graph, char*) {
  emulation::Recording* recording = emulation::end_recording();
  keep_scratch(*recording);
  *graph = recording;
  return Status::ok;
}
Status replay(void* graph, char* error) {
  try {
    for (const auto& work : static_cast<emulation::Recording*>(graph)->work) work();
    return Status::ok;
  } catch (const Failure& failure) {
    say(failure.what(), error);
    return failure.status;
  }
}
void drop_graph(void* graph) {
  auto* recording = static_cast<emulation::Recording*>(graph);
  for (void* block : recording->scratch) emulation::release(block);
  delete recording;
}

}  // namespace

Stream stream() { return {}; }

std::mutex& row_mutex() {
  static auto* m = new std::mutex;
  return *m;
}

void begin_row() {
  if (emulation::Recording* recording = emulation::current_recording())
    keep_scratch(*recording);
  else
    drop_scratch();
}

void* scratch_bytes(size_t bytes) {
  void* block = emulation::allocate(std::max<size_t>(bytes, 1));
  if (!block)
    throw Failure(Status::out_of_memory,
                  "no memory for " + std::to_string(bytes) + " bytes of scratch");
  lent_scratch().push_back(block);
  return block;
}

bool start_device(DeviceProperties& p, char* why) {
  if (const std::string fault = emulation::start_fault(); !fault.empty()) {
    say(fault, why);
    return false;
  }
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
  b.synchronize = [](char* error) {
    return emulation::lost() ? say(emulation::lost_text(), error) : tell_fault(error);
  };
  b.lend = emulation::lend;
  b.reclaim = emulation::reclaim;
  b.begin_capture = begin_capture;
  b.end_capture = end_capture;
  b.replay = replay;
  b.drop_graph = drop_graph;
}

}  // namespace pare::cuda
