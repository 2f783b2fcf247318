// After the first step of each batch shape a training step allocates nothing: neither from the
// system through the pool, nor through operator new, which this program counts.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "autograd/graph.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "compress/plan/plan.h"
#include "core/random.h"
#include "core/storage.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"

namespace {
std::atomic<int64_t> news{0};
}
void* operator new(size_t bytes) {
  ++news;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  ++news;
  const size_t a = size_t(alignment);
  if (void* p = std::aligned_alloc(a, (bytes + a - 1) / a * a)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

using namespace pare;

namespace {

struct Batch {
  Tensor x, y;
  Batch(int64_t n, const ImageShape& shape)
      : x(Tensor::empty({n, shape.channels, shape.height, shape.width}, DType::f32, Format::nhwc)),
        y(Tensor::zeros({n}, DType::i32)) {
    Rng rng{uint64_t(n)};
    for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = rng.uniform();
  }
};

void step(Module& net, Sgd& sgd, const Batch& b) {
  Tape tape;
  tape.backward(softmax_cross_entropy(net(b.x, Mode::train), b.y));
  sgd.step();
}

}  // namespace

TEST_CASE("a training step allocates nothing after the first of its batch shape") {
  for (const char* name : {"mlp", "lenet5", "lenet5-classic", "cifar-cnn", "resnet20"})
    for (const bool replayed : {false, true}) {
      CAPTURE(name);
      CAPTURE(replayed);
      const bool colour = std::string(name) == "cifar-cnn" || std::string(name) == "resnet20";
      const ImageShape shape = colour ? ImageShape{3, 32, 32} : ImageShape{};
      const Batch a(6, shape), b(4, shape);
      std::unique_ptr<Module> net = make_model(name, shape, 10, 1);
      Graph graph;
      if (replayed) graph = capture(*net, a.x);
      Module& trained = replayed ? graph : *net;
      Sgd sgd(named_parameters(trained), {.rate = 1e-3, .momentum = 0.9});
      for (const Batch* first : {&a, &b}) step(trained, sgd, *first);
      const int64_t before = news;
      const size_t asked = pool_statistics().system_allocations;
      for (int i = 0; i < 3; ++i)
        for (const Batch* next : {&a, &b}) step(trained, sgd, *next);
      CHECK(news - before == 0);
      CHECK(pool_statistics().system_allocations == asked);
    }
}

TEST_CASE("a plan allocates nothing after the first run of a batch size") {
  for (const char* name : {"mlp", "lenet5", "lenet5-classic", "cifar-cnn", "resnet20"}) {
    CAPTURE(name);
    const bool colour = std::string(name) == "cifar-cnn" || std::string(name) == "resnet20";
    const ImageShape shape = colour ? ImageShape{3, 32, 32} : ImageShape{};
    const std::unique_ptr<Module> net = make_model(name, shape, 10, 1);
    const Tensor x = Tensor::zeros({1, shape.channels, shape.height, shape.width});
    const Plan plan = compile(capture(*net, x));
    const Tensor many = Tensor::zeros({32, shape.channels, shape.height, shape.width});
    Tensor y, z;
    for (int i = 0; i < 20; ++i) {
      plan.run(x, y);
      plan.run(many, z);
    }
    const int64_t before = news;
    const size_t asked = pool_statistics().system_allocations;
    for (int i = 0; i < 5; ++i) {
      plan.run(x, y);
      plan.run(many, z);
    }
    CHECK(news - before == 0);
    CHECK(pool_statistics().system_allocations == asked);
  }
}
