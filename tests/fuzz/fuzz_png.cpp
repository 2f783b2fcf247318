#include "datasets/image.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return pare::fuzz_reader(data, size, [](std::span<const uint8_t> bytes) {
    const pare::Image image = pare::parse_png(bytes, "input");
    if (image.pixels.size() >= 1 << 16) return;
    for (const int64_t channels : {1, 3})
      pare::picture_notes(image, pare::to_input(image, {channels, 8, 8}, {}), {});
  });
}
