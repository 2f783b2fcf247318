#include "autograd/graph_file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return pare::fuzz_reader(data, size, [](std::span<const uint8_t> bytes) {
    const pare::Container file(pare::open_bytes(bytes, "input"));
    for (const std::string& name : file.names()) file.tensor(name);
    pare::read_graph(file);
  });
}
