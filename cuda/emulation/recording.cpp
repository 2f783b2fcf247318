#include "cuda/emulation/recording.h"

#include <utility>

namespace pare::cuda::emulation {
namespace {
Recording* open = nullptr;
}

Recording* current_recording() { return open; }

bool begin_recording() {
  if (open) return false;
  open = new Recording;
  return true;
}

Recording* end_recording() { return std::exchange(open, nullptr); }

}  // namespace pare::cuda::emulation
