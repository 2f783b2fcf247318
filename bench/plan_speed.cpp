// Times a compiled plan of a named network on demand, for bench/inference.py: reads a number of
// calls a line from standard input, answers with the milliseconds of each.
//   plan_speed NET BATCH THREADS [direct] [cpu]
// direct: without Winograd; cpu: milliseconds of CPU time.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "compress/plan/plan.h"
#include "core/error.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/zoo.h"

using namespace pare;

namespace {

double now_ms(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return double(t.tv_sec) * 1e3 + double(t.tv_nsec) * 1e-6;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: plan_speed NET BATCH THREADS [direct] [cpu]\n");
    return 1;
  }
  const std::string name = argv[1];
  const auto has = [&](const char* word) {
    return std::any_of(argv + 4, argv + argc, [&](const char* a) { return !std::strcmp(a, word); });
  };
  const clockid_t clock = has("cpu") ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
  set_threads(std::atoi(argv[3]));
  const bool colour = name == "cifar-cnn" || name.starts_with("resnet");
  const ImageShape shape = colour ? ImageShape{3, 32, 32} : ImageShape{};
  const auto net = make_model(name, shape, 10, 1);
  const Tensor x = Tensor::empty({std::atoi(argv[2]), shape.channels, shape.height, shape.width});
  Rng rng(1);
  for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(rng.normal());
  const Plan plan = compile(capture(*net, x), {.winograd = !has("direct")});
  Tensor y;
  int calls = 0;
  while (std::scanf("%d", &calls) == 1) {
    for (int i = 0; i < calls; ++i) {
      const double start = now_ms(clock);
      plan.run(x, y);
      std::printf("%.6f ", now_ms(clock) - start);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
} catch (const Error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return int(e.code());
}
