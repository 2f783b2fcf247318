// The graph's JSON, below the checksums that keep a fuzzer of whole files out. What loads is run,
// forwards in both modes and backwards: it may refuse what it is given (Error), and nothing else.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tests/fuzz/fuzz.h"

namespace {

// A whole weight and bias; a sparse weight as floats and as bytes, four of 400 elements kept; one
// whose mask is made of 100 tiles, and one that keeps two of every four.
constexpr const char* tensors = R"("w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                R"("b":{"dtype":"F32","shape":[2],"data_offsets":[24,32]},)"
                                R"("s:kept":{"dtype":"F32","shape":[4],"data_offsets":[32,48]},)"
                                R"("t:kept":{"dtype":"F32","shape":[4],"data_offsets":[48,64]},)"
                                R"("r:kept":{"dtype":"F32","shape":[4],"data_offsets":[64,80]},)"
                                R"("s:gaps":{"dtype":"U8","shape":[5],"data_offsets":[80,85]},)"
                                R"("q:kept":{"dtype":"I8","shape":[4],"data_offsets":[85,89]},)"
                                R"("q:gaps":{"dtype":"U8","shape":[5],"data_offsets":[89,94]},)"
                                R"("t:gaps":{"dtype":"U8","shape":[1],"data_offsets":[94,95]},)"
                                R"("r:runs":{"dtype":"U8","shape":[8],"data_offsets":[95,103]}})";
constexpr std::array<uint8_t, 103> stored = [] {
  std::array<uint8_t, 103> bytes{};
  for (const size_t at : {80, 89})
    for (size_t i = 0; const int gap : {3, 255, 3, 0, 135}) bytes[at + i++] = uint8_t(gap);
  bytes[94] = 40;         // one of them
  bytes[95] = 5 + 6 * 2;  // the last of six patterns, and the third
  return bytes;
}();

// Elements of all values at batch 1: a fuzzer needs many small runs.
int64_t size_of_run(const pare::Graph& graph) {
  int64_t total = 0;
  for (const auto& v : graph.values) {
    int64_t n = 1;
    for (int i = 0; i < v.shape.size(); ++i)
      if (__builtin_mul_overflow(n, v.shape[i], &n)) return INT64_MAX;
    if (__builtin_add_overflow(total, n, &total)) return INT64_MAX;
  }
  return total;
}

void run(pare::Graph graph) {
  using namespace pare;
  if (size_of_run(graph) > 20000) return;
  try {
    const GraphValue& in = graph.values[size_t(graph.input)];
    const Tensor x = Tensor::full(graph.input_shape(1), 0.5, in.dtype);
    graph.run(x);
    Tape tape;
    const Tensor y = graph(is_float(x.dtype()) ? tape.watch(x) : x, Mode::train);
    if (y.ref().run == tape.run())
      tape.backward(y, Tensor::full(y.shape(), 1, y.dtype()).in_format(y.format()));
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return pare::fuzz_reader(data, size, [](std::span<const uint8_t> bytes) {
    // A plain safetensors file (no checksums) whose graph is the input.
    std::string text;
    for (const uint8_t byte : bytes) {
      const char c = char(byte);
      if (c == '"' || c == '\\') text += '\\';
      if (byte >= 0x20 && byte < 0x7f) text += c;
    }
    const std::string header = R"({"__metadata__":{"graph":")" + text + R"("},)" + tensors;
    std::vector<uint8_t> file(8 + header.size() + stored.size());
    const uint64_t length = header.size();
    std::copy_n(reinterpret_cast<const uint8_t*>(&length), 8, file.begin());
    std::copy(header.begin(), header.end(), file.begin() + 8);
    std::copy(stored.begin(), stored.end(), file.begin() + 8 + std::ptrdiff_t(length));
    run(pare::read_graph(pare::Container(pare::open_bytes(file, "input"))));
  });
}
