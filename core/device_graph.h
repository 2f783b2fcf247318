// DeviceGraph: work of a device, recorded once and queued again as a whole.
//
// What is recorded holds the addresses and numbers that its kernels were called with. So the
// tensors it reads must be the same ones at every replay, numbers that change belong into tensors
// or outside of it, and what it allocated stays its own (a reserve of the pool) until it is
// dropped: results that are read between two replays are valid until the next one.
#pragma once

#include <functional>
#include <string>

#include "core/shape.h"

namespace pare {

class DeviceGraph {
 public:
  DeviceGraph() = default;
  ~DeviceGraph() { drop(); }
  DeviceGraph(const DeviceGraph&) = delete;
  DeviceGraph& operator=(const DeviceGraph&) = delete;

  static bool supported(Device device);
  static bool recording();  // whether this thread's work is being recorded
  // Runs `work` with recording on: nothing of it is computed until replay(). Where it cannot be
  // recorded, because it reads a value back or there is no memory for it say, the reason is
  // returned and nothing is kept. What `work` throws for another reason is thrown. Other threads
  // that call the device wait meanwhile.
  std::string record(Device device, const std::function<void()>& work);
  bool recorded() const { return graph_ != nullptr; }
  void replay();
  void drop();

 private:
  Device device_;
  void* graph_ = nullptr;
  int32_t reserve_ = 0;
};

}  // namespace pare
