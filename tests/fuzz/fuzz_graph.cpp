// The graph's JSON, below the checksums that keep a fuzzer of whole files out.
#include "autograd/graph_file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return pare::fuzz_reader(data, size, [](std::span<const uint8_t> bytes) {
    // A plain safetensors file (no checksums) whose graph is the input.
    std::string text;
    for (const uint8_t byte : bytes) {
      const char c = char(byte);
      if (c == '"' || c == '\\') text += '\\';
      if (byte >= 0x20 && byte < 0x7f) text += c;
    }
    std::string header = R"({"__metadata__":{"graph":")" + text +
                         R"("},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                         R"("b":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}})";
    std::vector<uint8_t> file(8 + header.size() + 32);
    const uint64_t length = header.size();
    std::copy_n(reinterpret_cast<const uint8_t*>(&length), 8, file.begin());
    std::copy(header.begin(), header.end(), file.begin() + 8);
    pare::read_graph(pare::Container(pare::open_bytes(file, "input")));
  });
}
