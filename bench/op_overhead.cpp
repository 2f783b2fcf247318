// What recording an op on a tape costs: the same chain of tiny ops with and without one, in
// nanoseconds of CPU time per op, median of many rounds.
// Example: build/bench/op_overhead
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/thread_pool.h"

using namespace pare;

namespace {

double cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) * 1e9 + double(t.tv_nsec);
}

constexpr int ops = 200, rounds = 400;

double chain(Tensor x) {
  const double start = cpu_ns();
  for (int i = 0; i < ops; ++i) x = add_scalar(x, 1.0);
  return (cpu_ns() - start) / ops;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

}  // namespace

int main() {
  set_threads(1);
  const Tensor x = Tensor::zeros({4});
  std::vector<double> plain, taped;
  for (int r = 0; r < rounds; ++r) {
    plain.push_back(chain(x));
    Tape tape;
    taped.push_back(chain(tape.watch(x)));
    if (tape.node_count() != size_t(ops)) return 1;  // nothing was recorded
  }
  std::printf("op %.0f ns, recorded %.0f ns: recording costs %.0f ns\n", median(plain),
              median(taped), median(taped) - median(plain));
}
