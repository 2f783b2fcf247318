// Under the address sanitizer an access beyond a block of device memory ends the program, naming
// the line of the kernel.
#include <doctest/doctest.h>

#include <unistd.h>
#include <array>
#include <cstdio>
#include <string>

#include "cuda/device.h"
#include "cuda/emulation/sanitizer.h"

using namespace pare::cuda;

TEST_SUITE_BEGIN("emulated");  // a GPU has no part in these

namespace {
PARE_KERNEL void shift_kernel(const float* x, float* y) {
  PARE_SHARED(float, s, 32);
  s[lane()] = x[thread_x() + 1];  // the last thread reads beyond x
  barrier();
  const float v = s[31 - lane()];
  y[thread_x()] = v;
}
}  // namespace

TEST_CASE("planted: a read beyond a block" * doctest::skip()) {
  auto* x = static_cast<float*>(emulation::allocate(32 * sizeof(float)));
  auto* y = static_cast<float*>(emulation::allocate(32 * sizeof(float)));
  launch(shift_kernel, 1, 32, 0, Stream{}, x, y);
}

#if PARE_ASAN
TEST_CASE("the address sanitizer catches a read beyond a block of device memory") {
  std::array<char, 4096> path{};
  REQUIRE(readlink("/proc/self/exe", path.data(), path.size() - 1) > 0);
  const std::string command =
      "'" + std::string(path.data()) + "' --no-skip -tc='planted: a read beyond a block' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string said;
  for (std::array<char, 512> line; fgets(line.data(), int(line.size()), pipe);) said += line.data();
  CHECK(pclose(pipe) != 0);
  CHECK(said.find("AddressSanitizer: use-after-poison") != std::string::npos);
  // Clang's sanitizer names functions where it finds llvm-symbolizer.
  const bool names =
      said.find("Failed to use and restart external symbolizer") == std::string::npos;
  CHECK((said.find("shift_kernel") != std::string::npos) == names);
  if (said.find("AddressSanitizer") == std::string::npos) MESSAGE(said);
}
#endif

TEST_SUITE_END();
