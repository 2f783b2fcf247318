#include "core/cpu/isa.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "core/error.h"

namespace pare {
namespace {

Isa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vnni"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::scalar;
}

Isa from_environment() {
  const char* text = std::getenv("PARE_ISA");
  const std::string_view wanted = text ? text : "";
  if (wanted.empty() || wanted == "avx512") return Isa::avx512;
  if (wanted == "avx2") return Isa::avx2;
  if (wanted == "scalar") return Isa::scalar;
  // Not by fail(): the layer that happens to ask first is not to blame.
  throw Error(ErrorCode::usage,
              message("PARE_ISA is '{}'; it takes scalar, avx2 or avx512", wanted));
}

std::atomic<Isa>& used() {
  static std::atomic<Isa> isa{std::min(detected_isa(), from_environment())};
  return isa;
}

}  // namespace

std::string to_string(Isa isa) {
  static constexpr const char* names[] = {"scalar", "avx2", "avx512"};
  return names[int(isa)];
}
Isa detected_isa() {
  static const Isa isa = detect();
  return isa;
}
Isa current_isa() { return used().load(std::memory_order_relaxed); }
void set_isa(Isa cap) { used() = std::min(detected_isa(), cap); }

}  // namespace pare
