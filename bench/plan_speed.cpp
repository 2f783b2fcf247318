// Times a compiled plan of a named network on demand, for bench/inference.py: reads a number of
// calls a line from standard input, answers with the milliseconds of each.
//   plan_speed NET BATCH THREADS [direct]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "compress/plan/plan.h"
#include "core/error.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/zoo.h"

using namespace pare;

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: plan_speed NET BATCH THREADS [direct]\n");
    return 1;
  }
  const std::string name = argv[1];
  set_threads(std::atoi(argv[3]));
  const bool colour = name == "cifar-cnn" || name.starts_with("resnet");
  const ImageShape shape = colour ? ImageShape{3, 32, 32} : ImageShape{};
  const auto net = make_model(name, shape, 10, 1);
  const Tensor x = Tensor::empty({std::atoi(argv[2]), shape.channels, shape.height, shape.width});
  Rng rng(1);
  for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(rng.normal());
  const Plan plan = compile(capture(*net, x), {.winograd = argc < 5});
  Tensor y;
  int calls = 0;
  while (std::scanf("%d", &calls) == 1) {
    for (int i = 0; i < calls; ++i) {
      const auto start = std::chrono::steady_clock::now();
      plan.run(x, y);
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - start;
      std::printf("%.6f ", took.count());
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
} catch (const Error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return int(e.code());
}
