// The graph's JSON, below the checksums that keep a fuzzer of whole files out. What loads is run,
// forwards in both modes and backwards, then pruned by elements and by channels, and compiled: all
// may refuse what they are given (Error), and nothing else.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "compress/plan/plan.h"
#include "compress/plan/timing.h"
#include "compress/prune/prune.h"
#include "compress/prune/structured/prune_channels.h"
#include "tests/fuzz/fuzz.h"

namespace {

// A weight and bias, a sparse weight as floats and as bytes (four of 400 elements kept), and what
// layers behind and before them need: [3,2], [3], 3x3 and 1x1 filters of three channels, and a
// weight without inputs; a weight of 400 elements of which one tile of four is kept, and one of
// eight that keeps two of every four.
constexpr const char* tensors = R"("w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                R"("b":{"dtype":"F32","shape":[2],"data_offsets":[24,32]},)"
                                R"("s:kept":{"dtype":"F32","shape":[4],"data_offsets":[32,48]},)"
                                R"("s:gaps":{"dtype":"U8","shape":[5],"data_offsets":[48,53]},)"
                                R"("q:kept":{"dtype":"I8","shape":[4],"data_offsets":[53,57]},)"
                                R"("q:gaps":{"dtype":"U8","shape":[5],"data_offsets":[57,62]},)"
                                R"("v":{"dtype":"F32","shape":[3,2],"data_offsets":[62,86]},)"
                                R"("c":{"dtype":"F32","shape":[3],"data_offsets":[86,98]},)"
                                R"("k":{"dtype":"F32","shape":[3,1,3,3],"data_offsets":[98,206]},)"
                                R"("m":{"dtype":"F32","shape":[3,3,1,1],"data_offsets":[206,242]},)"
                                R"("e":{"dtype":"F32","shape":[3,0],"data_offsets":[242,242]},)"
                                R"("z":{"dtype":"F32","shape":[0,1,3,3],"data_offsets":[242,242]},)"
                                R"("o":{"dtype":"F32","shape":[0],"data_offsets":[242,242]},)"
                                R"("t:kept":{"dtype":"F32","shape":[4],"data_offsets":[242,258]},)"
                                R"("r:kept":{"dtype":"F32","shape":[4],"data_offsets":[258,274]},)"
                                R"("t:gaps":{"dtype":"U8","shape":[1],"data_offsets":[274,275]},)"
                                R"("r:runs":{"dtype":"U8","shape":[8],"data_offsets":[275,283]}})";
constexpr std::array<uint8_t, 283> stored = [] {
  std::array<uint8_t, 283> bytes{};
  // Half of the floats 0.5, half zero.
  for (const auto& [first, last] : {std::pair{0, 48}, {62, 274}})
    for (int at = first; at < last; at += 8) bytes[size_t(at + 3)] = 0x3f;
  for (const size_t at : {48, 57})
    for (size_t i = 0; const int gap : {3, 255, 3, 0, 135}) bytes[at + i++] = uint8_t(gap);
  bytes[274] = 40;         // the tile
  bytes[275] = 5 + 6 * 2;  // the last of six patterns, and the third
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

template <class F>
void unless_refused(F&& act) {
  try {
    act();
  } catch (const pare::Error&) {
  }
}

pare::Tensor image_for(const pare::Graph& graph) {
  return pare::Tensor::full(graph.input_shape(1), 0.5, graph.values[size_t(graph.input)].dtype);
}

void run(pare::Graph graph) {
  using namespace pare;
  unless_refused([&] {
    const Tensor x = image_for(graph);
    graph.run(x);
    Tape tape;
    const Tensor y = graph(is_float(x.dtype()) ? tape.watch(x) : x, Mode::train);
    if (y.ref().run == tape.run())
      tape.backward(y, Tensor::full(y.shape(), 1, y.dtype()).in_format(y.format()));
  });
}

// What pruning leaves is a graph that could have come from a file.
void check_whole(pare::Graph& graph) {
  try {
    graph.verify_shapes(int64_t(1) << 30);
  } catch (const pare::Error& e) {
    std::fprintf(stderr, "not a bad_input error: channels left a broken graph: %s\n", e.what());
    std::abort();
  }
}

// With each layer in the last of the forms that are tried, the sparse ones, or in the first, dense:
// by the clock an input would not do the same twice. Times are long, so that nothing runs often.
void compile_and_run(const pare::Graph& graph) {
  using namespace pare;
  for (const double slower : {0.5, 2.0}) {
    double took = 1e6;
    const plan::Timing planted{
        .step =
            [&](const plan::Step& step, const plan::Frame& frame, int64_t parts) {
              plan::time_step(step, frame, parts);
              return took *= slower;
            },
        .plan =
            [](Plan::State& plan, const Tensor& x, Tensor& y) {
              plan::time_plan(plan, x, y);
              return 1e6;
            }};
    unless_refused([&] { compile(graph, {.timing = &planted})(image_for(graph)); });
  }
}

// In every scope and structure, each upon the masks of those before.
void prune_elements(pare::Graph graph) {
  using namespace pare;
  for (const PruneScope scope :
       {PruneScope::local, PruneScope::global, PruneScope::erk, PruneScope::row})
    for (const char* structure : {"unstructured", "4x1", "2:4"})
      unless_refused([&] {
        prune(graph, Magnitude(),
              {.sparsity = 0.5, .scope = scope, .structure = parse_structure(structure)});
      });
  compile_and_run(graph);
}

// Half of the channels, and half of what is left in multiples of two.
void remove_channels(pare::Graph graph) {
  using namespace pare;
  for (const int64_t round_to : {1, 2}) {
    unless_refused(
        [&] { prune_channels(graph, FilterNorm(1), {.sparsity = 0.5, .round_to = round_to}); });
    check_whole(graph);
    run(graph.clone());
  }
  compile_and_run(graph);
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
    pare::Graph graph = pare::read_graph(pare::Container(pare::open_bytes(file, "input")));
    if (size_of_run(graph) > 20000) return;
    run(graph.clone());
    compile_and_run(graph);
    prune_elements(graph.clone());
    remove_channels(graph.clone());
  });
}
