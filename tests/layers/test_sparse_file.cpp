// Networks that are mostly zeros, in files: every share of zeros comes back, whatever code its
// masks lie in, and a small file cannot ask for much memory.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <functional>

#include "autograd/graph_file.h"
#include "core/random.h"
#include "layers/layers.h"

using namespace pare;

namespace {

Tensor random_mask(const Shape& shape, double zeros, uint64_t seed) {
  const Tensor mask = Tensor::empty(shape, DType::u8);
  Rng rng(seed);
  for (int64_t i = 0; i < mask.elements(); ++i) mask.data<uint8_t>()[i] = rng.uniform() >= zeros;
  return mask;
}

std::vector<uint8_t> bytes_of(const ContainerWriter& writer) {
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("pare-sparse-" + std::to_string(::getpid()) + ".pare"))
                               .string();
  writer.write(path);
  const auto bytes = read_file(path, 1 << 24);
  std::filesystem::remove(path);
  return bytes;
}
std::vector<uint8_t> bytes_of(const Graph& g, const GraphFileOptions& options) {
  ContainerWriter writer;
  add_graph(writer, g, options);
  return bytes_of(writer);
}

Graph read(const std::vector<uint8_t>& bytes, const std::string& prefix = {}) {
  return read_graph(Container(open_bytes(bytes, "x")), prefix);
}

bool has(const std::vector<uint8_t>& bytes, const std::string& tensor) {
  return Container(open_bytes(bytes, "x")).has(tensor);
}

// y = x w^T + b, a mask on w, and a byte constant behind w's zeros.
struct Sparse : Module {
  Dense fc{96, 70};
  Tensor integers;
  Sparse(double zeros, DType dtype, MaskKind kind) {
    initialize(fc, 5);
    to_dtype(*this, dtype);
    Param& w = fc.weight;
    const Tensor mask = random_mask(w.value().shape(), zeros, 11);
    w.set_mask(mask, kind);
    w.slot("momentum").fill(0.5);
    integers = Tensor::zeros({70, 96}, DType::i8);
    for (int64_t i = 0; i < mask.elements(); ++i)
      integers.data<int8_t>()[i] = mask.data<uint8_t>()[i] ? int8_t(i % 255 - 128) | 1 : 0;
  }
  Tensor forward(const Tensor& x, Mode mode) override { return fc(x, mode); }
  void visit(Visitor& v) override { v("fc", fc); }
  Graph graph() {
    Graph g = capture(*this, Tensor::zeros({1, 96}, fc.weight.value().dtype()));
    GraphValue v;
    v.name = "integers";
    v.kind = ValueKind::constant;
    v.dtype = DType::i8;
    v.shape = Ints(integers.shape().data(), 2);
    v.constant = integers;
    g.values.push_back(v);
    return g;
  }
};

}  // namespace

TEST_CASE("networks of any share of zeros come back from files and checkpoints") {
  for (const double zeros : {0.0, 0.5, 0.9, 0.98, 0.99, 0.999, 1.0})
    for (const DType dtype : {DType::f32, DType::f64})
      for (const MaskKind kind : {MaskKind::frozen, MaskKind::soft}) {
        CAPTURE(zeros);
        CAPTURE(int(dtype));
        CAPTURE(int(kind));
        Sparse net(zeros, dtype, kind);
        Graph g = net.graph();
        const Param w = parameters(g)[0];
        for (const bool slots : {false, true}) {
          const std::string prefix = slots ? "best/" : "";
          const auto bytes = bytes_of(g, {.prefix = prefix, .slots = slots});
          CHECK(has(bytes, prefix + "fc.weight:gaps") == (zeros >= 0.9));
          CHECK(has(bytes, prefix + "fc.weight:mask") == (zeros < 0.9));
          CHECK(has(bytes, prefix + "integers:gaps") == (zeros >= 0.9));
          Graph back = read(bytes, prefix);
          const Param v = parameters(back)[0];
          CHECK(v.state().mask_kind == kind);
          CHECK(v.state().mask.to_vector<uint8_t>() == w.state().mask.to_vector<uint8_t>());
          CHECK(v.value().to(DType::f64).to_vector<double>() ==
                w.value().to(DType::f64).to_vector<double>());
          CHECK(v.state().slots.size() == size_t(slots));
          CHECK(back.values.back().constant.to_vector<int8_t>() ==
                net.integers.to_vector<int8_t>());
        }
      }
}

TEST_CASE("masks beyond what a reader grants lie as bits, and the file says what it needs") {
  Sparse net(0.95, DType::f32, MaskKind::frozen);
  Graph g = net.graph();
  const size_t weight = 70 * 96 * 5, integers = 70 * 96 * 2;
  const auto gaps = [&](size_t most) {
    const auto bytes = bytes_of(g, {.spread_bytes = most});
    CHECK(to_string(read(bytes)) == to_string(g));
    return int(has(bytes, "fc.weight:gaps")) + 2 * int(has(bytes, "integers:gaps"));
  };
  CHECK(gaps(weight + integers) == 3);
  CHECK(gaps(weight + integers - 1) == 1);
  CHECK(gaps(weight - 1) == 2);
  CHECK(gaps(0) == 0);
  const auto version = [&](size_t most) {
    const auto bytes = bytes_of(g, {.spread_bytes = most});
    const std::string text = Container(open_bytes(bytes, "x")).metadata("graph");
    return text.substr(0, text.find(','));
  };
  CHECK(version(0) == "{\"version\":1");
  CHECK(version(weight) == "{\"version\":2");
}

namespace {

// A file of one weight of `rows` x 1024 elements that are all zero, and what `more` adds to it.
std::vector<uint8_t> zeros_file(int64_t rows, const char* dtype, const Tensor& kept,
                                const std::function<void(ContainerWriter&)>& more) {
  const int64_t elements = rows * 1024;
  std::vector<uint8_t> gaps(size_t(elements / 255), 255);
  ContainerWriter w;
  w.add("w:gaps", Tensor::from(gaps, {int64_t(gaps.size())}));
  w.add("w:kept", kept);
  const std::string shape =
      "\"shape\":{\"list\":[" + std::to_string(rows) + ",1024]," + "\"symbolic\":0}";
  w.set_metadata("graph",
                 R"({"version":2,"input":0,"outputs":[0],"values":[{"name":"x","kind":"input",)"
                 R"("dtype":"f32","shape":{"list":[1],"symbolic":1}},{"name":"w","kind":"param",)"
                 R"("decay":true,"mask":"frozen","dtype":")" +
                     std::string(dtype) + "\"," + shape +
                     R"(}],"nodes":[],"buffers":[],"metadata":{}})");
  if (more) more(w);
  return bytes_of(w);
}

}  // namespace

TEST_CASE("a small file of zeros cannot ask for much memory") {
  const Tensor f32 = Tensor::zeros({0}), f64 = Tensor::zeros({0}, DType::f64);
  CHECK_NOTHROW(read(zeros_file(100, "f32", f32, {})));
  // 5 bytes an element, or 9: at most 1 GiB and 16 times the file.
  CHECK_THROWS_WITH_AS(read(zeros_file(215000, "f32", f32, {})),
                       doctest::Contains("sparse tensors would take"), Error);
  CHECK_THROWS_WITH_AS(read(zeros_file(120000, "f64", f64, {})),
                       doctest::Contains("sparse tensors would take"), Error);
  CHECK_THROWS_WITH_AS(read(zeros_file(100, "f32", f32,
                                       [](ContainerWriter& w) {
                                         w.add("w:mask", Tensor::zeros({12800}, DType::u8));
                                       })),
                       doctest::Contains("two masks"), Error);
}
