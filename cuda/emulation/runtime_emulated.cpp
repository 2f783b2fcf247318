// The emulated device: host memory, kernels that run at once.
#include <cstdio>
#include <cstring>

#include "cuda/emulation/breakdown.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/recording.h"
#include "cuda/fault.h"
#include "cuda/host.h"
#include "cuda/runtime.h"

namespace pare::cuda {
namespace {

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

Status begin_capture(char* error) {
  if (!emulation::records()) return say("an emulated fault: work cannot be recorded", error);
  return emulation::begin_recording() ? Status::ok : say("work is being recorded already", error);
}
Status end_capture(void** graph, char* error) {
  emulation::Recording* recording = emulation::end_recording();
  if (!recording->spoilt.empty()) {
    say(recording->spoilt, error);
    delete recording;
    return Status::failed;
  }
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
}  // namespace

Stream stream() { return {}; }

bool start_device(DeviceProperties& p, char* why) {
  if (const std::string fault = emulation::start_fault(); !fault.empty()) {
    say(fault, why);
    return false;
  }
  std::snprintf(p.name, sizeof p.name, "CUDA kernels emulated on the CPU");
  p.memory_bytes = 0;
  p.gpu_capability = p.capability = emulation::capability();
  p.multiprocessors = 2;  // few, so that small tensors go around every grid-stride loop
  set_fault_record(static_cast<Fault*>(emulation::allocate(sizeof(Fault))));
  return true;
}

void tell_facts(Tell tell, void* to) {
  tell(to, "emulates compute capability",
       (std::to_string(emulation::capability() / 10) + "." +
        std::to_string(emulation::capability() % 10))
           .c_str());
  tell(to, "recorded steps", emulation::records() ? "yes" : "no: PARE_EMULATION_FAULT");
}

void describe_backend(Backend& b) {
  b.name = "cuda-emulated";
  b.allocate = [](size_t bytes, void** block, char* error) {
    if (emulation::lost()) return say(emulation::lost_text(), error);
    *block = emulation::allocate(bytes);
    return *block ? Status::ok : Status::out_of_memory;
  };
  b.free = [](void* block) {
    if (emulation::Recording* recording = emulation::current_recording())
      recording->spoilt = "memory was freed while work was recorded";
    emulation::release(block);
  };
  b.copy = copy;
  b.synchronize = [](char* error) {
    if (emulation::current_recording())
      return say("waiting for the device cannot be recorded", error);
    return emulation::lost() ? say(emulation::lost_text(), error) : tell_fault(error);
  };
  b.lend = emulation::lend;
  b.reclaim = emulation::reclaim;
  b.begin_capture = begin_capture;
  b.end_capture = end_capture;
  b.replay = replay;
  b.drop_graph = [](void* graph) { delete static_cast<emulation::Recording*>(graph); };
}

}  // namespace pare::cuda
