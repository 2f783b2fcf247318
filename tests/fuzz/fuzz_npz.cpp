#include "datasets/npz.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return pare::fuzz_reader(data, size,
                           [](std::span<const uint8_t> bytes) { pare::parse_npz(bytes, "input"); });
}
