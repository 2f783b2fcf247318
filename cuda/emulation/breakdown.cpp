#include "cuda/emulation/breakdown.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cuda/failure.h"
#include "cuda/trouble.h"

namespace pare::cuda::emulation {
namespace {

std::string_view chosen() {
  const char* text = std::getenv("PARE_EMULATION_FAULT");
  return text ? text : "";
}

// N of "nameN"; -1 where another fault is chosen, or none.
int64_t number_of(std::string_view name) {
  return chosen().starts_with(name) ? std::atoll(chosen().data() + name.size()) : -1;
}

std::atomic<int64_t> launches{0}, allocations{0};

}  // namespace

std::string start_fault() {
  static constexpr struct {
    std::string_view name;
    Trouble trouble;
  } faults[] = {{"no-driver", Trouble::no_driver},
                {"driver-too-old", Trouble::old_driver},
                {"no-gpu", Trouble::no_gpu},
                {"old-gpu", Trouble::old_gpu},
                {"busy-gpu", Trouble::busy_gpu},
                {"no-kernel-image", Trouble::no_kernel_image}};
  for (const auto& f : faults)
    if (chosen() == f.name) return remedy(f.trouble, 11080, 13000);
  return {};
}

bool allocation_fails() {
  const int64_t most = number_of("oom-after-");
  return most >= 0 && ++allocations > most;
}

size_t memory_limit() {
  const int64_t bytes = number_of("memory-");
  return bytes >= 0 ? size_t(bytes) : size_t(8) << 30;
}

bool lost() {
  const int64_t most = number_of("lost-after-");
  return most >= 0 && launches > most;
}

bool records() { return chosen() != "no-recording"; }

std::string lost_text() { return "an emulated fault: " + remedy(Trouble::lost); }

void count_launch() {
  ++launches;
  if (lost()) throw Failure(Status::failed, lost_text());
}

}  // namespace pare::cuda::emulation
