// Mistakes planted into the kernels of transpose and softmax are noticed.
#include <doctest/doctest.h>

#include "tests/cuda/planted.h"
//
#include "cuda/softmax.cu"
#include "cuda/transpose.h"

using namespace pare;
using namespace pare::cuda;
using namespace pare::cuda::planted;

namespace pare::cuda {
const DeviceProperties& properties() {
  static const DeviceProperties p{.multiprocessors = 2};
  return p;
}
}  // namespace pare::cuda

namespace {

std::vector<float> some(size_t n) {
  std::vector<float> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = float(i * 37 % 101) / 50;
  return v;
}

bool transposes() {
  constexpr size_t rows = 41, columns = 67;
  const auto in = some(rows * columns);
  const OnDevice<float> x(in), y(in);
  transpose(x.p, y.p, 1, int64_t(rows), int64_t(columns), false);
  const auto got = y.values();
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c)
      if (got[c * rows + r] != in[r * columns + c]) return false;
  return true;
}

bool softmax_adds_up() {
  constexpr size_t n = 5, classes = 37;
  const OnDevice<float> x(some(n * classes)), y(some(n * classes));
  launch_over_rows(forward_kernel<false, float>, int64_t(n), x.p, y.p, int64_t(n),
                   int64_t(classes));
  const auto in = x.values(), got = y.values();
  for (size_t r = 0; r < n; ++r) {
    double sum = 0;
    for (size_t j = 0; j < classes; ++j) sum += std::exp(double(in[r * classes + j]));
    for (size_t j = 0; j < classes; ++j)
      if (std::abs(std::exp(double(in[r * classes + j])) / sum - double(got[r * classes + j])) >
          1e-6)
        return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a kernel without mistakes is green") {
  CHECK(transposes());
  CHECK(softmax_adds_up());
}

TEST_CASE("transpose without its barrier, or with an index beside the right one, is red") {
  CHECK(red(Bug::no_barrier, transposes));
  CHECK(red(Bug::shifted_thread, transposes));
}

TEST_CASE("softmax with a lane that does not add, or that reads its neighbour's element, is red") {
  CHECK(red(Bug::missing_lane, softmax_adds_up));
  CHECK(red(Bug::shifted_lane, softmax_adds_up));
}
