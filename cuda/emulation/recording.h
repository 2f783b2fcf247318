// Recorded work of the emulated device: launches and copies with their arguments, as a CUDA graph
// holds them. While one is being recorded nothing runs.
#pragma once

#include <functional>
#include <vector>

namespace pare::cuda::emulation {

struct Recording {
  std::vector<std::function<void()>> work;
  std::vector<void*> scratch;  // blocks that the work uses
};

Recording* current_recording();  // null: launches run at once
bool begin_recording();          // false where one is open
Recording* end_recording();      // the caller's to delete

}  // namespace pare::cuda::emulation
