// Products by cuBLASLt (cuda/gemm_nvcc.cu) on a stand-in that computes what its manual says: our
// rows as its columns, transpositions, the bias by row, and what happens where it has no way.
#include <doctest/doctest.h>

#include "core/backend.h"
#include "core/device.h"
#include "core/storage.h"
#include "core/tensor.h"
#include "core/tensor_arg.h"
#include "tests/cuda_runtime/stand_in/control.h"
#include "tests/cuda_runtime/stand_in/cublasLt.h"
#include "tests/cuda_runtime/stand_in/cublaslt_control.h"

using namespace pare;
using stand_in::lt;

namespace {

const Device gpu{DeviceType::cuda, 0};

struct Product {
  int64_t m = 3, n = 2, k = 4;
  bool ta = false, tb = false, accumulate = false, bias = false, relu = false;
  int offset = 0;  // elements that all matrices begin late
};

std::vector<float> numbers(int64_t n, int step) {
  std::vector<float> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(float(int(i * step) % 7 - 3));
  return v;
}

// Whether the library computed it, to the bit.
bool right(const Product& p) {
  const auto upload = [&](std::vector<float> v) {
    v.insert(v.begin(), size_t(p.offset), 99);
    return Tensor::from(v, {int64_t(v.size())}).to(gpu);
  };
  const auto a = numbers(p.m * p.k, 3), b = numbers(p.n * p.k, 5), bias = numbers(p.n, 4),
             c = numbers(p.m * p.n, 2);
  const Tensor ta = upload(a), tb = upload(b), tbias = upload(bias), tc = upload(c);
  TensorArg inputs[] = {tensor_arg(ta), tensor_arg(tb), tensor_arg(tbias)}, out = tensor_arg(tc);
  for (TensorArg* t : {&inputs[0], &inputs[1], &inputs[2], &out})
    t->data = t->as<float>() + p.offset;
  Attrs attrs;
  attrs.set("m", p.m).set("n", p.n).set("k", p.k).set("ta", p.ta).set("tb", p.tb);
  attrs.set("accumulate", p.accumulate).set("relu", p.relu);
  KernelArgs args;
  args.inputs = inputs, args.input_count = p.bias ? 3 : 2;
  args.outputs = &out, args.output_count = 1, args.attrs = &attrs;
  const Kernel kernel("stand_in.product");
  kernel(gpu, args);
  std::vector<float> got = tc.to_vector<float>();
  got.erase(got.begin(), got.begin() + p.offset);
  std::vector<float> want;
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      float sum = (p.accumulate ? c[size_t(i * p.n + j)] : 0) + (p.bias ? bias[size_t(j)] : 0);
      for (int64_t q = 0; q < p.k; ++q)
        sum += a[size_t(p.ta ? q * p.m + i : i * p.k + q)] *
               b[size_t(p.tb ? j * p.k + q : q * p.n + j)];
      want.push_back(p.relu && sum < 0 ? 0 : sum);
    }
  return got == want;
}

struct Watched {
  Watched() {
    stand_in::reset();
    lt = {};
    REQUIRE(probe_device(DeviceType::cuda).present);
  }
  ~Watched() {
    CHECK(stand_in::violations().empty());
    CHECK(lt.preferences == 0);
    release_cached(gpu);
  }
};

}  // namespace

TEST_CASE("the library multiplies our rows as its columns, in every direction") {
  const Watched watched;
  for (const int64_t m : {1, 3, 8})
    for (const int64_t n : {1, 2, 9})
      for (const int64_t k : {1, 4, 7})
        for (int bits = 0; bits < 32; ++bits) {
          const Product p{m,
                          n,
                          k,
                          bool(bits & 1),
                          bool(bits & 2),
                          bool(bits & 4),
                          bool(bits & 8),
                          bool(bits & 16)};
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          CAPTURE(bits);
          CHECK(right(p));
        }
}

TEST_CASE("an algorithm is looked for once a shape, alignment and precision") {
  const Watched watched;
  const Product p{11, 5, 6};
  CHECK(right(p));
  const size_t searches = lt.searches;
  CHECK(right(p));
  CHECK(lt.searches == searches);
  Product late = p;
  late.offset = 1;  // 4 bytes: an algorithm for 256 would not do
  CHECK(right(late));
  CHECK(lt.searches == searches + 1);
  for (const auto& [precision, type] : {std::pair{Precision::tf32, CUBLAS_COMPUTE_32F_FAST_TF32},
                                        {Precision::bf16, CUBLAS_COMPUTE_32F_FAST_16BF}}) {
    const PrecisionScope scope(precision);
    CHECK(right(p));
    CHECK(lt.compute == type);
  }
}

TEST_CASE("a product that the library cannot compute is left to pare's own") {
  const Watched watched;
  lt.knows = false;
  CHECK_THROWS_WITH_AS(right({.m = 21}), doctest::Contains("left to pare's own"), Error);
  lt.knows = true;
  CHECK_THROWS_WITH_AS(right({.m = 21}), doctest::Contains("left to pare's own"),
                       Error);  // remembered
  lt.fails = CUBLAS_STATUS_NOT_SUPPORTED;
  CHECK_THROWS_WITH_AS(right({.m = 22}), doctest::Contains("left to pare's own"), Error);
  CHECK_THROWS_WITH_AS(right({.m = 22, .k = 0}), doctest::Contains("left to pare's own"), Error);
  lt.workspace = 1 << 20;
  CHECK(right({.m = 23}));
  stand_in::fail("cudaMalloc", cudaErrorMemoryAllocation, 1);
  release_cached(gpu);
  CHECK(right({.m = 23}));
}

TEST_CASE("a product that failed in the middle is an error that says what else there is") {
  const Watched watched;
  lt.fails = CUBLAS_STATUS_EXECUTION_FAILED;
  CHECK_THROWS_WITH_AS(right({.m = 31}), doctest::Contains("PARE_CUBLAS=0"), Error);
  CHECK(right({.m = 31}));
}
