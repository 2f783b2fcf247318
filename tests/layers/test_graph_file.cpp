#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;
namespace fs = std::filesystem;

namespace {

// A folder of its own, with a name that tools trip over.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("pare tést " + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};

// Counts the rows it saw in training, and has two outputs: state and arity a file must carry.
Status split_forward(const KernelArgs& a) {
  const int64_t n = a.inputs[0].elements;
  for (int64_t i = 0; i < n; ++i) {
    const float v = a.inputs[0].as<float>()[i];
    a.outputs[0].as<float>()[i] = v > 0 ? v : 0;
    a.outputs[1].as<float>()[i] = v < 0 ? v : 0;
  }
  if (a.training) a.buffers[0].as<float>()[0] += float(a.inputs[0].dims[0]);
  return Status::ok;
}
Status split_backward(const KernelArgs& a) {
  for (int64_t i = 0; i < a.inputs[0].elements; ++i) {
    const bool positive = a.inputs[0].as<float>()[i] > 0;
    const float* from = a.grad_outputs[positive ? 0 : 1].as<float>();
    const float g = from ? from[i] : 0;
    float& to = a.grad_inputs[0].as<float>()[i];
    to = a.accumulate[0] ? to + g : g;
  }
  return Status::ok;
}
const Op& sign_split() {
  static const Op& op = []() -> const Op& {
    register_kernel("sign_split.forward", DeviceType::cpu, split_forward);
    register_kernel("sign_split.backward", DeviceType::cpu, split_backward);
    return register_op({.name = "sign_split", .saves_inputs = 1, .infer = [](Call& c) {
                          c.output(c.x().shape());
                          c.output(c.x().shape());
                        }});
  }();
  return op;
}

struct Odd : Module {
  Param weight{normals({12, 12}, 7)}, bias{Tensor::zeros({12})}, last{normals({3, 12}, 8)},
      last_bias{Tensor::zeros({3})};
  Buffer rows{Tensor::zeros({1})};
  Tensor forward(const Tensor& x, Mode mode) override {
    Tensor h = dense(x, weight(), bias(), false);
    Tensor in[] = {h};
    std::array<Tensor, max_outputs> out;
    Buffer* const buffers[] = {&rows};
    apply(sign_split(), in, {}, out, {.buffers = buffers, .mode = mode});
    h = dropout(dense(out[0], weight(), bias(), true), 0.3, mode);  // tied
    return dense(h, last(), last_bias());
  }
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
    v("last", last);
    v("last_bias", last_bias);
    v("rows", rows);
  }
};

std::vector<std::vector<float>> state_of(Module& m) {
  std::vector<std::vector<float>> all;
  for (auto& [name, p] : named_parameters(m)) all.push_back(p.value().to_vector<float>());
  for (auto& [name, b] : named_buffers(m)) all.push_back(b.value().to_vector<float>());
  return all;
}

void train(Module& m, const Tensor& x, const Tensor& y, int steps) {
  Sgd sgd(named_parameters(m), {.rate = 0.01});
  for (int step = 0; step < steps; ++step) {
    const RunKeyScope key({5, uint64_t(step)});
    Tape tape;
    tape.backward(softmax_cross_entropy(m(x, Mode::train), y));
    sgd.step();
  }
}

void trains_alike_from_file(Module& m, const Tensor& x, int classes) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < x.size(0); ++i) labels.push_back(int32_t(i % classes));
  const Tensor y = Tensor::from(labels, {x.size(0)});
  const Folder folder;
  Graph g = capture(m, x);
  save_graph(g, folder / "m.pare");
  Graph loaded = load_graph(folder / "m.pare");
  CHECK(to_string(loaded) == to_string(g));
  train(m, x, y, 20);
  train(loaded, x, y, 20);
  CHECK(state_of(g) == state_of(loaded));
  CHECK(m(x, Mode::eval).to_vector<float>() == loaded(x, Mode::eval).to_vector<float>());
}

}  // namespace

TEST_CASE("a saved graph trains bit for bit like the module it came from") {
  for (const char* name : {"mlp", "lenet5-classic", "lenet5"}) {
    CAPTURE(name);
    const auto net = make_model(name, {1, 28, 28}, 10, 3);
    trains_alike_from_file(*net, normals({4, 1, 28, 28}, 2), 10);
  }
  for (const char* name : {"cifar-cnn", "resnet20"}) {
    CAPTURE(name);
    const auto net = make_model(name, {3, 16, 16}, 10, 3);
    trains_alike_from_file(*net, normals({4, 3, 16, 16}, 2), 10);
  }
}

TEST_CASE("so does one with tied weights, dropout and a stateful op of two outputs") {
  Odd odd;
  trains_alike_from_file(odd, normals({5, 12}, 4), 3);
  CHECK(odd.rows.value().item() == 100);
}

TEST_CASE("masks and optimizer slots come back") {
  const auto net = make_model("mlp", {1, 28, 28}, 10, 3);
  Graph g = capture(*net, Tensor::zeros({1, 1, 28, 28}));
  Param p = parameters(g)[0];
  std::vector<uint8_t> keep(size_t(p.value().elements()));
  for (size_t i = 0; i < keep.size(); ++i) keep[i] = i % 3 == 0;
  p.set_mask(Tensor::from(keep, p.value().shape()));
  p.slot("momentum").fill(0.25);
  p.apply_mask();
  const Folder folder;
  ContainerWriter writer;
  add_graph(writer, g, {.prefix = "best/", .slots = true});
  writer.write(folder / "c.ckpt");
  Graph loaded = read_graph(Container(folder / "c.ckpt"), "best/");
  Param q = parameters(loaded)[0];
  CHECK(q.state().mask_kind == MaskKind::frozen);
  CHECK(q.state().mask.to_vector<uint8_t>() == keep);
  CHECK(q.value().to_vector<float>() == p.value().to_vector<float>());
  CHECK(q.slot("momentum").to_vector<float>() == p.slot("momentum").to_vector<float>());
  // The model alone carries the mask but no slots.
  save_graph(g, folder / "m.pare");
  Graph model = load_graph(folder / "m.pare");
  CHECK(parameters(model)[0].state().slots.empty());
  CHECK(parameters(model)[0].state().mask.to_vector<uint8_t>() == keep);
}

TEST_CASE("saving twice gives the same bytes; cut or changed files are refused, never misread") {
  const Folder folder;
  Sequential net;
  net.add<Dense>("fc", 3, 2);
  initialize(net, 1);
  Graph g = capture(net, Tensor::zeros({1, 3}));
  g.set_metadata("classes", "[\"a\",\"b\"]");
  save_graph(g, folder / "a.pare");
  save_graph(load_graph(folder / "a.pare"), folder / "b.pare");
  const auto bytes = read_file(folder / "a.pare", 1 << 20);
  CHECK(bytes == read_file(folder / "b.pare", 1 << 20));
  const auto read = [](std::span<const uint8_t> b) {
    return read_graph(Container(open_bytes(b, "x")));
  };
  CHECK(read(bytes).get_metadata("classes") == "[\"a\",\"b\"]");
  for (size_t n = 0; n < bytes.size(); ++n) CHECK_THROWS_AS(read(std::span(bytes).first(n)), Error);
  for (size_t i = 0; i < bytes.size(); ++i)
    for (const uint8_t flip : {1, 0x20, 0x80}) {
      auto damaged = bytes;
      damaged[i] ^= flip;
      CHECK_THROWS_AS_MESSAGE(read(damaged), Error, "byte ", i);
    }
}

namespace {
std::vector<uint8_t> file_of(const std::string& header, size_t data) {
  std::vector<uint8_t> bytes(8 + header.size() + data);
  const uint64_t n = header.size();
  std::memcpy(bytes.data(), &n, 8);
  std::memcpy(bytes.data() + 8, header.data(), n);
  return bytes;
}
}  // namespace

TEST_CASE("plain safetensors files are read; lying ones are refused before anything is allocated") {
  const auto good = file_of(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24);
  CHECK(Container(open_bytes(good, "x")).tensor("w").shape() == Shape{2, 3});
  const char* bad[] = {
      R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,28]}})",
      R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[4,28]}})",
      R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[24,0]}})",
      R"({"w":{"dtype":"F16","shape":[2,3],"data_offsets":[0,24]}})",
      R"({"w":{"dtype":"F32","shape":[-2,3],"data_offsets":[0,24]}})",
      R"({"w":{"dtype":"F32","shape":[4611686018427387904,4,6],"data_offsets":[0,24]}})",
      R"({"w":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,6],"data_offsets":[0,24]}})",
      R"({"w":{"dtype":"F32","shape":[2,3]}})",
      R"({"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}})",
      R"({"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"v":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}})",
      R"({"w":{"dtype":"F32","shape":[[6]],"data_offsets":[0,24]}})",
      R"({"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24],"x":1}})",
      R"({"w":[1,2]})",
      R"({"":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}})",
      R"({"__metadata__":{"pare_version":"99"},"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}})",
      R"({"__metadata__":{"pare_version":"1"},"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}})",
      R"({"__metadata__":{"a":1},"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}})",
      R"([])",
      R"({"w")",
      R"({)",
  };
  for (const char* header : bad)
    CHECK_THROWS_AS_MESSAGE(Container(open_bytes(file_of(header, 24), "x")), Error, header);
  auto huge = good;
  std::memset(huge.data(), 0xff, 8);
  CHECK_THROWS_WITH_AS(Container(open_bytes(huge, "x")), doctest::Contains("a header of"), Error);
}

TEST_CASE("a graph that lies is refused with the place named") {
  const Folder folder;
  Sequential net;
  net.add<Dense>("fc", 3, 2);
  initialize(net, 1);
  const Graph g = capture(net, Tensor::zeros({1, 3}));
  const auto with = [&](const std::string& from, const std::string& to) {
    ContainerWriter w;
    add_graph(w, g);
    w.write(folder / "a.pare");
    std::string text = Container(folder / "a.pare").metadata("graph");
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    w.set_metadata("graph", text.replace(at, from.size(), to));
    w.write(folder / "a.pare");
    return load_graph(folder / "a.pare");
  };
  CHECK_THROWS_WITH_AS(with("\"op\":\"dense\"", "\"op\":\"dens\""), doctest::Contains("'dense'"),
                       Error);
  CHECK_THROWS_WITH_AS(with("\"version\":1,\"name\"", "\"version\":9,\"name\""),
                       doctest::Contains("newer pare"), Error);
  CHECK_THROWS_AS(with("\"inputs\":[", "\"inputs\":[77,"), Error);
  CHECK_THROWS_AS(with("\"inputs\":[", "\"inputs\":[-1,"), Error);
  CHECK_THROWS_AS(with("\"list\":[", "\"list\":[1,2,3,4,5,6,7,8,9,"), Error);
  CHECK_THROWS_AS(with("\"dtype\":\"f32\",\"shape\":{\"list\":[2,3]",
                       "\"dtype\":\"i8\",\"shape\":{\"list\":[2,3]"),
                  Error);
  CHECK_THROWS_AS(with("\"input\":0", "\"input\":3"), Error);
  CHECK_THROWS_AS(with("\"outputs\":[", "\"outputs\":[99,"), Error);
  CHECK_THROWS_AS(with("{\"version\"", std::string(40, '[') + "{\"version\""), Error);
  CHECK_THROWS_AS(with("\"decay\":true", "\"decay\":3"), Error);
}

TEST_CASE("what cannot be written or read is named, and the old file stays") {
  const Folder folder;
  Sequential net;
  net.add<Dense>("fc", 3, 2);
  initialize(net, 1);
  const Graph g = capture(net, Tensor::zeros({1, 3}));
  const std::string path = folder / "m.pare";
  save_graph(g, path);
  CHECK_THROWS_WITH_AS(save_graph(g, folder / "no/such/folder.pare"),
                       doctest::Contains("No such file"), Error);
  CHECK_THROWS_WITH_AS(save_graph(g, "/dev/full"), doctest::Contains("not a regular file"), Error);
  CHECK_THROWS_WITH_AS(load_graph(folder / "nothing"), doctest::Contains("no such file"), Error);
  CHECK_THROWS_WITH_AS(load_graph(folder.path.string()), doctest::Contains("not a regular file"),
                       Error);
  // A process killed while it saves again and again leaves a whole file.
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0)
      for (;;) save_graph(g, path);
    std::this_thread::sleep_for(std::chrono::microseconds(500 + 300 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(to_string(load_graph(path)) == to_string(g));
  }
}
