#include "core/device_graph.h"

#include <tuple>
#include <utility>

#include "core/backend.h"
#include "core/storage.h"

namespace pare {
namespace {

thread_local bool is_recording = false;

// One recording, from its begin to its end: the device's turn, the reserve, and the backend's own.
class Capture {
 public:
  explicit Capture(Device device) : turn_(device), device_(device), backend_(backend_of(device)) {
    // What was run before, the same step say, left its blocks in the pool, which a recording cannot
    // take; kept, they would double what the step needs.
    release_cached(device);
    reserve_ = open_reserve(device);
    if (backend_.begin_capture(text_) != Status::ok) {
      close_reserve(device);
      drop_reserve(device, reserve_);
      throw Error(ErrorCode::device, text_);
    }
    is_recording = true;
  }
  ~Capture() {
    if (is_recording) end();
    if (graph_) backend_.drop_graph(graph_);
    if (reserve_) drop_reserve(device_, reserve_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // The graph and its reserve, which become the caller's.
  std::pair<void*, int32_t> finish() {
    if (end() != Status::ok) throw Error(ErrorCode::device, text_);
    return {std::exchange(graph_, nullptr), std::exchange(reserve_, 0)};
  }

 private:
  Status end() {
    is_recording = false;
    const Status status = backend_.end_capture(&graph_, text_);
    close_reserve(device_);
    return status;
  }

  DeviceTurn turn_;
  Device device_;
  const Backend& backend_;
  int32_t reserve_ = 0;
  void* graph_ = nullptr;
  char text_[error_length] = "";
};

}  // namespace

bool DeviceGraph::recording() { return is_recording; }

bool DeviceGraph::supported(Device device) { return backend_of(device).begin_capture != nullptr; }

std::string DeviceGraph::record(Device device, const std::function<void()>& work) {
  drop();
  if (!supported(device)) return message("{} records no work", device);
  check(!is_recording, "a step is being recorded on {} already", device);
  try {
    Capture capture(device);
    work();
    std::tie(graph_, reserve_) = capture.finish();
    device_ = device;
    return {};
  } catch (const Error& e) {
    if (e.code() != ErrorCode::device && e.code() != ErrorCode::io) throw;
    return e.what();
  }
}

void DeviceGraph::replay() {
  check(recorded(), "nothing is recorded");
  char text[error_length] = "";
  const DeviceTurn turn(device_);
  const Status status = backend_of(device_).replay(graph_, text);
  if (status == Status::ok) return;
  fail(status == Status::out_of_memory ? ErrorCode::io : ErrorCode::device,
       "a recorded step on {}: {}", device_, text);
}

void DeviceGraph::drop() {
  if (graph_) {
    const DeviceTurn turn(device_);
    backend_of(device_).drop_graph(std::exchange(graph_, nullptr));
  }
  if (reserve_) drop_reserve(device_, std::exchange(reserve_, 0));
}

}  // namespace pare
