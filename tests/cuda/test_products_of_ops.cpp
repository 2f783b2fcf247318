// Products as networks ask for them, through dense and conv2d, on every CUDA device present: sizes
// that reach each tile of cuda/product.h, whole and split depths, both widths of memory accesses;
// the largest tiles on a GPU alone.
//
// Factors are integers in [-3, 3]: tf32 and bf16 hold them, and every sum of fewer than 2^24 / 9
// products is exact in f32, in any order. So results are demanded to the last bit, where a bound
// that grows with the number of terms would let a lost step of a deep sum pass.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/backend.h"
#include "tests/cuda/devices.h"
#include "tests/support/op_case_list.h"

using namespace pare;
using namespace pare::testing;

namespace {

using Run = std::function<Tensor(const Tensors&)>;

Tensors output_and_gradients(const Run& run, const Tensors& inputs, const Tensor& dy, Device device,
                             DType dtype) {
  Tape tape;
  Tensors watched;
  for (const Tensor& x : inputs) watched.push_back(tape.watch(x.to(dtype).to(device)));
  Tensors all{run(watched)};
  tape.backward(all[0], dy.to(dtype).to(device));
  for (const Tensor& x : watched) all.push_back(tape.grad(x));
  return all;
}

Tensor integers(const Shape& shape, uint64_t key) {
  std::vector<double> v = noise(shape, key, -3.5, 3.5).to_vector<double>();
  for (double& e : v) e = std::nearbyint(e);
  return Tensor::from(v, shape);
}

void check_products(const Run& run, const Tensors& inputs, const Shape& output) {
  const Tensor dy = integers(output, 9);
  const Tensors want = output_and_gradients(run, inputs, dy, {}, DType::f64);
  for (const Device device : cuda_devices())
    for (const Precision precision : precisions_of(device)) {
      CAPTURE(to_string(device));
      CAPTURE(to_string(precision));
      const PrecisionScope scope(precision);
      const Tensors got = output_and_gradients(run, inputs, dy, device, DType::f32);
      for (size_t i = 0; i < want.size(); ++i) {
        CAPTURE(i);
        CHECK(got[i].to_vector<double>() == want[i].to_vector<double>());
      }
    }
}

bool has_gpu() { return tests_device(DeviceType::cuda); }

}  // namespace

TEST_CASE("dense multiplies by every kind of tile, forward and backward") {
  struct Sizes {
    int64_t n, in, out;
    bool large = false;
  };
  for (const Sizes& s :
       {Sizes{1, 1, 1}, Sizes{70, 66, 67}, Sizes{68, 40, 72}, Sizes{9, 1040, 12}, Sizes{7, 1041, 5},
        Sizes{530, 5, 6}, Sizes{5003, 5, 6}, Sizes{1500, 24, 1500, true},
        Sizes{1501, 1500, 1499, true}, Sizes{20000, 130, 70, true}}) {
    if (s.large && !has_gpu()) continue;
    CAPTURE(s.n);
    CAPTURE(s.in);
    CAPTURE(s.out);
    check_products([](const Tensors& in) { return dense(in[0], in[1], in[2]); },
                   {integers({s.n, s.in}, 1), integers({s.out, s.in}, 2), integers({s.out}, 3)},
                   {s.n, s.out});
  }
}

TEST_CASE("conv2d multiplies by every kind of tile, forward and backward") {
  struct Conv {
    Shape x;
    int64_t out, kernel;
    Conv2dOptions o = {};
    bool large = false;
  };
  for (const Conv& c : {Conv{{1, 3, 20, 13}, 30, 3, {.padding = 1}}, Conv{{2, 20, 9, 7}, 40, 3},
                        Conv{{1, 70, 5, 6}, 68, 1}, Conv{{1, 72, 5, 6}, 9, 3, {.stride = 2}},
                        Conv{{1, 64, 5, 4}, 12, 3, {.padding = 1}},
                        Conv{{1, 8, 26, 25}, 16, 3, {.padding = 1, .groups = 2}},
                        Conv{{17, 16, 32, 32}, 128, 3, {.padding = 1}, true},
                        Conv{{17, 128, 32, 32}, 67, 3, {.padding = 1}, true},
                        Conv{{64, 3, 32, 32}, 67, 5, {.stride = 2, .padding = 2}, true}}) {
    if (c.large && !has_gpu()) continue;
    CAPTURE(c.x);
    CAPTURE(c.out);
    const auto run = [&](const Tensors& in) { return conv2d(in[0], in[1], in[2], c.o); };
    const auto extent = [&](int64_t size) {
      return (size + 2 * c.o.padding - c.kernel) / c.o.stride + 1;
    };
    const Shape output{c.x[0], c.out, extent(c.x[2]), extent(c.x[3])};
    const Shape w{c.out, c.x[1] / c.o.groups, c.kernel, c.kernel};
    check_products(run, {integers(c.x, 4), integers(w, 5), integers({c.out}, 6)}, output);
  }
}
