// Recorded work of the emulated device: launches and copies with their arguments, as a CUDA graph
// holds them. While one is being recorded nothing runs. There is one at a time, whatever thread
// calls: as on a GPU, where the stream is everybody's.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace pare::cuda::emulation {

struct Recording {
  std::vector<std::function<void()>> work;
  std::string spoilt;  // why it cannot be used; "" so far
};

Recording* current_recording();  // null: launches run at once
bool begin_recording();          // false where one is open
Recording* end_recording();      // the caller's to delete

}  // namespace pare::cuda::emulation
