// The int8 kernels of both kinds, for GPUs with and without tensor cores, give the reference's
// bits.
#include <doctest/doctest.h>

#include "cuda/int8_dense.cu"
#include "tests/cuda/device_array.h"

using namespace pare;
using namespace pare::cuda;
using pare::testing::DeviceArray;

namespace pare::cuda {
// What the rest of the plug-in would say.
const DeviceProperties& properties() {
  static const DeviceProperties p{.multiprocessors = 2};
  return p;
}
}  // namespace pare::cuda

TEST_SUITE_BEGIN("emulated");  // a GPU has no part in these

namespace {

template <class Unit>
bool multiplies(int64_t in) {
  constexpr int64_t n = 70, out = 67;
  std::vector<uint8_t> vx(size_t(n * in)), vy(size_t(n * out), 0);
  std::vector<int8_t> vw(size_t(out * in));
  std::vector<int32_t> vb(out);
  std::vector<float> vm(out);
  for (size_t i = 0; i < vx.size(); ++i) vx[i] = uint8_t(i * 53 % 256);
  for (size_t i = 0; i < vw.size(); ++i) vw[i] = int8_t(int(i * 29 % 255) - 127);
  for (size_t o = 0; o < vb.size(); ++o) {
    vb[o] = int32_t(o) * 1000 - 30000;
    vm[o] = 1.0f / float(500 + o);
  }
  const DeviceArray<uint8_t> x(vx), y(vy);
  const DeviceArray<int8_t> w(vw);
  const DeviceArray<int32_t> bias(vb);
  const DeviceArray<float> multiplier(vm);
  run<Unit>({x.p, w.p, bias.p, multiplier.p, y.p, n, in, out, 99, false});
  const auto got = y.values();
  for (size_t r = 0; r < n; ++r)
    for (size_t o = 0; o < out; ++o) {
      int32_t sum = vb[o];
      for (size_t k = 0; k < size_t(in); ++k)
        sum += int32_t(vx[r * size_t(in) + k]) * vw[o * size_t(in) + k];
      if (got[r * out + o] != requantize(sum, vm[o], 99, false)) return false;
    }
  return true;
}

}  // namespace

TEST_CASE("int8 kernels of both kinds, for every alignment of the rows") {
  for (const int64_t in : {1, 63, 64, 68, 144, 201}) {
    CAPTURE(in);
    CHECK(multiplies<TensorCores>(in));
    CHECK(multiplies<Dp4a>(in));
  }
}

TEST_SUITE_END();
