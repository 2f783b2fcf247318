#include "core/device_graph.h"

#include <exception>
#include <utility>

#include "core/backend.h"
#include "core/storage.h"

namespace pare {
namespace {
thread_local bool is_recording = false;
}

bool DeviceGraph::recording() { return is_recording; }

bool DeviceGraph::supported(Device device) { return backend_of(device).begin_capture != nullptr; }

std::string DeviceGraph::record(Device device, const std::function<void()>& work) {
  drop();
  const Backend& backend = backend_of(device);
  if (!backend.begin_capture) return message("{} records no work", device);
  char text[error_length] = "";
  if (backend.begin_capture(text) != Status::ok) return text;
  device_ = device;
  reserve_ = open_reserve(device);
  std::string reason;
  std::exception_ptr thrown;
  is_recording = true;
  try {
    work();
  } catch (const Error& e) {
    reason = e.what();
    if (e.code() != ErrorCode::device) thrown = std::current_exception();
  } catch (...) {
    thrown = std::current_exception();
  }
  is_recording = false;
  const Status status = backend.end_capture(&graph_, text);
  close_reserve(device);
  if (reason.empty() && status != Status::ok) reason = text;
  if (thrown || !reason.empty()) drop();
  if (thrown) std::rethrow_exception(thrown);
  return reason;
}

void DeviceGraph::replay() {
  check(recorded(), "nothing is recorded");
  char text[error_length] = "";
  if (backend_of(device_).replay(graph_, text) != Status::ok)
    fail(ErrorCode::device, "a recorded step on {}: {}", device_, text);
}

void DeviceGraph::drop() {
  if (graph_) backend_of(device_).drop_graph(std::exchange(graph_, nullptr));
  if (reserve_) drop_reserve(device_, std::exchange(reserve_, 0));
}

}  // namespace pare
