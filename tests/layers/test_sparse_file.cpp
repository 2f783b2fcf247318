// Networks that are mostly zeros, in files: every share of zeros comes back, whatever code its
// masks lie in, and a small file cannot ask for much memory.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <functional>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
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

// Layers whose masks are made of 4x1 blocks, of runs of 2:4 along the channels of a convolution,
// and of 1x3 blocks; a few of the weights behind the masks are zeros.
struct Structured : Module {
  Conv2d conv{8, 12, 3};
  Dense blocks{12, 40}, wide{40, 30};
  Structured(DType dtype, MaskKind kind) {
    initialize(*this, 5);
    to_dtype(*this, dtype);
    const auto mask = [&](Param& p, auto&& keep) {
      const Tensor m = Tensor::empty(p.value().shape(), DType::u8);
      for (int64_t i = 0; i < m.elements(); ++i) m.data<uint8_t>()[i] = keep(i) ? 1 : 0;
      p.set_mask(m, kind);
    };
    mask(conv.weight, [](int64_t i) { return (i / 9 % 8 + i / 72 + i % 9) % 4 < 2; });
    mask(blocks.weight, [](int64_t i) { return (i / 48 * 12 + i % 12) % 7 == 3; });
    mask(wide.weight, [](int64_t i) { return i % 40 / 3 * 5 % 8 == 1 + i / 40 % 2; });
  }
  Tensor forward(const Tensor& x, Mode mode) override {
    return wide(blocks(global_avg_pool(conv(x, mode)), mode), mode);
  }
  void visit(Visitor& v) override {
    v("conv", conv);
    v("blocks", blocks);
    v("wide", wide);
  }
  Graph graph() { return capture(*this, Tensor::zeros({1, 8, 5, 5}, conv.weight.value().dtype())); }
};

std::string graph_text(const std::vector<uint8_t>& bytes) {
  return Container(open_bytes(bytes, "x")).metadata("graph");
}

}  // namespace

TEST_CASE("masks made of blocks and of N:M come back from their own codes") {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const MaskKind kind : {MaskKind::frozen, MaskKind::soft}) {
      Structured net(dtype, kind);
      Graph g = net.graph();
      const auto bytes = bytes_of(g, {});
      for (const char* part :
           {R"("version":3)", R"("runs":[2,4])", R"("tiles":[4,1])", R"("tiles":[1,3])"}) {
        CAPTURE(part);
        CHECK(graph_text(bytes).find(part) != std::string::npos);
      }
      CHECK(has(bytes, "conv.weight:runs"));
      Graph back = read(bytes);
      CHECK(to_string(back) == to_string(g));
      for (size_t i = 0; i < parameters(g).size(); ++i) {
        const ParamState &a = parameters(g)[i].state(), &b = parameters(back)[i].state();
        CHECK(a.mask_kind == b.mask_kind);
        if (a.mask.defined()) CHECK(a.mask.to_vector<uint8_t>() == b.mask.to_vector<uint8_t>());
        CHECK(a.value.to_vector<double>() == b.value.to_vector<double>());
      }
      // What a reader would not grant lies as bits, which the first version knows.
      const auto small = bytes_of(g, {.spread_bytes = 0});
      CHECK(graph_text(small).starts_with(R"({"version":1)"));
      CHECK(to_string(read(small)) == to_string(g));
    }
}

TEST_CASE("integer weights lie in the blocks that they were pruned in, zeros among them or not") {
  Structured net(DType::f32, MaskKind::frozen);
  Graph g = net.graph();
  const Tensor mask = net.blocks.weight.state().mask;
  GraphValue v;
  v.name = "integers";
  v.kind = ValueKind::constant;
  v.dtype = DType::i8;
  v.shape = Ints(mask.shape().data(), 2);
  v.constant = Tensor::zeros(mask.shape(), DType::i8);
  for (int64_t i = 0; i < mask.elements(); ++i)
    v.constant.data<int8_t>()[i] = mask.data<uint8_t>()[i] ? int8_t(i % 50 - 2) : 0;
  g.values.push_back(v);
  const auto bytes = bytes_of(g, {});
  const std::string text = graph_text(bytes);
  CHECK(text.find(R"("tiles":[4,1])", text.find("integers") - 200) != std::string::npos);
  CHECK(read(bytes).values.back().constant.to_vector<int8_t>() == v.constant.to_vector<int8_t>());
}

TEST_CASE("what a graph says of a mask's code is held against the file") {
  Structured net(DType::f32, MaskKind::frozen);
  Graph g = net.graph();
  const auto bytes = bytes_of(g, {});
  const Container whole(open_bytes(bytes, "x"));
  const auto refuses = [&](const std::string& from, const std::string& to, const char* says,
                           const char* more = nullptr) {
    CAPTURE(to);
    ContainerWriter w;
    for (const std::string& name : whole.names()) w.add(name, whole.tensor(name));
    if (more) w.add(more, Tensor::zeros({8}, DType::u8));
    std::string text = whole.metadata("graph");
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    w.set_metadata("graph", text.replace(at, from.size(), to));
    CHECK_THROWS_WITH_AS(read(bytes_of(w)), doctest::Contains(says), Error);
  };
  const std::string tiles = R"("tiles":[4,1])", runs = R"("runs":[2,4])";
  refuses(tiles, R"("tiles":[0,1])", "'blocks.weight:mask' is no mask of the 480 elements");
  refuses(tiles, R"("tiles":[-4,1])", "expected 0..");
  refuses(tiles, R"("tiles":[2,1])", "is no mask of the 480 elements");
  refuses(tiles, R"("tiles":[41,1])", "is no mask");
  refuses(tiles, R"("tiles":[4])", "no two numbers");
  refuses(tiles, R"("tiles":4)", "no list");
  refuses(tiles, R"("tiles":[4,1.5])", "no integer");
  refuses(tiles, R"("runs":[2,4])", "another code");
  refuses(runs, R"("runs":[1,4])", "'conv.weight:runs' is no mask");
  refuses(runs, R"("runs":[4,4])", "is no mask");
  refuses(runs, R"("runs":[0,4])", "is no mask");
  refuses(runs, R"("runs":[2,64])", "is no mask");
  refuses(runs, R"("tiles":[4,1])", "another code");
  refuses(runs, R"("tiles":[4,1],"runs":[2,4])", "another code");
  refuses(runs, runs, "two masks", "conv.weight:gaps");
  refuses(R"("version":3)", R"("version":4)", "use a newer pare");
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
