// The emulated tensor cores against two descriptions of their fragments that share nothing with
// cuda/emulation/mma_host.h, nor with each other: the formulas of the PTX manual, and the strides
// that CuTe (NVIDIA/cutlass, mma_traits_sm80.hpp) names. And how they add.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "cuda/device.h"
#include "cuda/mma.h"
#include "tests/cuda/device_array.h"

using namespace pare;
using namespace pare::cuda;
using pare::testing::DeviceArray;

TEST_SUITE_BEGIN("emulated");

namespace {

struct Place {
  int row, column;
};
// Where element i of a lane's fragment lies: of A at (m, k), of B at (k, n), of D at (m, n).
using Table = std::function<Place(int lane, int i)>;
struct Tables {
  Table a, b, d;
};

// "Matrix fragments for mma.m16n8k...": groupID and threadID_in_group of the manual.
Place ptx_d(int lane, int i) { return {lane / 4 + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)}; }
const Tables ptx_tf32{
    [](int lane, int i) {
      return Place{lane / 4 + (i == 1 || i == 3 ? 8 : 0), lane % 4 + (i == 2 || i == 3 ? 4 : 0)};
    },
    [](int lane, int i) { return Place{lane % 4 + (i == 1 ? 4 : 0), lane / 4}; }, ptx_d};
const Tables ptx_bf16{
    [](int lane, int i) {
      const bool upper = (0 <= i && i < 2) || (4 <= i && i < 6);
      return Place{lane / 4 + (upper ? 0 : 8), lane % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
    },
    [](int lane, int i) { return Place{lane % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0), lane / 4}; },
    ptx_d};
const Tables ptx_int8{
    [](int lane, int i) {
      const bool upper = (0 <= i && i < 4) || (8 <= i && i < 12);
      return Place{lane / 4 + (upper ? 0 : 8), lane % 4 * 4 + (i & 3) + (i >= 8 ? 16 : 0)};
    },
    [](int lane, int i) { return Place{lane % 4 * 4 + (i & 3) + (i >= 4 ? 16 : 0), lane / 4}; },
    ptx_d};

// A layout: the lane as (4, 8) and the element as (extents...), each digit times its stride; the
// sum counts down the columns of a matrix of `height` rows.
struct Strides {
  int height, lane4, lane8;
  std::vector<Place> elements;  // extent, stride
  Place operator()(int lane, int i) const {
    int at = lane % 4 * lane4 + lane / 4 * lane8;
    for (const auto [extent, stride] : elements) {
      at += i % extent * stride;
      i /= extent;
    }
    return {at % height, at / height};
  }
};
// CuTe holds B as (n, k).
Table turned(const Strides& s) {
  return [s](int lane, int i) { return Place{s(lane, i).column, s(lane, i).row}; };
}
const Strides cute_d{16, 32, 1, {{2, 16}, {2, 8}}};
const Tables cute_tf32{Strides{16, 16, 1, {{2, 8}, {2, 64}}}, turned({8, 8, 1, {{2, 32}}}), cute_d};
const Tables cute_bf16{Strides{16, 32, 1, {{2, 16}, {2, 8}, {2, 128}}},
                       turned({8, 16, 1, {{2, 8}, {2, 64}}}), cute_d};
const Tables cute_int8{Strides{16, 64, 1, {{4, 16}, {2, 8}, {2, 256}}},
                       turned({8, 32, 1, {{4, 8}, {2, 128}}}), cute_d};

template <class D>
PARE_KERNEL void mma_kernel(const uint32_t* a, const uint32_t* b, D* d, bool bf16) {
  uint32_t fa[4], fb[2];
  D sum[4];
  for (int i = 0; i < 4; ++i) fa[i] = a[lane() * 4 + i], sum[i] = d[lane() * 4 + i];
  for (int i = 0; i < 2; ++i) fb[i] = b[lane() * 2 + i];
  if constexpr (std::is_same_v<D, float>)
    bf16 ? mma_bf16(sum, fa, fb) : mma_tf32(sum, fa, fb);
  else
    mma_u8s8(sum, fa, fb);
  for (int i = 0; i < 4; ++i) d[lane() * 4 + i] = sum[i];
}

// The words of all lanes' fragments, element by element of `bits`.
std::vector<uint32_t> packed(const Table& table, int words, int bits,
                             const std::function<uint32_t(Place)>& element) {
  std::vector<uint32_t> all(size_t(32 * words), 0);
  const int per_word = 32 / bits;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < words * per_word; ++i)
      all[size_t(lane * words + i / per_word)] |= element(table(lane, i)) << (i % per_word * bits);
  return all;
}

// A differs in every element from its neighbours, B is a unit in one row: so D shows where each
// element of either went.
template <class D>
void check_layout(const Tables& t, int bits, const std::function<uint32_t(int)>& encode) {
  const int depth = 8 * 32 / bits;
  const auto va = [](Place p) { return (p.row * 7 + p.column * 3) % 101; };
  const auto vb = [](Place p) { return (p.row * 5 + p.column * 11) % 13 - 6; };
  const DeviceArray<uint32_t> a(packed(t.a, 4, bits, [&](Place p) { return encode(va(p)); })),
      b(packed(t.b, 2, bits, [&](Place p) { return encode(vb(p)); }));
  std::vector<D> start(128);
  for (size_t i = 0; i < 128; ++i) start[i] = D(i);
  const DeviceArray<D> d(start);
  launch(mma_kernel<D>, 1, 32, 0, Stream{}, a.p, b.p, d.p, bits == 16);
  const std::vector<D> got = d.values();
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const Place p = t.d(lane, i);
      int want = lane * 4 + i;
      for (int k = 0; k < depth; ++k) want += va({p.row, k}) * vb({k, p.column});
      CAPTURE(lane);
      CAPTURE(i);
      CHECK(got[size_t(lane * 4 + i)] == D(want));
    }
}

uint32_t bf16(int x) { return BFloat16(float(x)).bits; }
uint32_t tf32(int x) { return to_tf32(float(x)); }
uint32_t byte(int x) { return uint8_t(x); }

}  // namespace

TEST_CASE("fragments of tensor cores lie where the PTX manual and CuTe say") {
  for (const Tables& t : {ptx_tf32, cute_tf32}) check_layout<float>(t, 32, tf32);
  for (const Tables& t : {ptx_bf16, cute_bf16}) check_layout<float>(t, 16, bf16);
  for (const Tables& t : {ptx_int8, cute_int8}) check_layout<int32_t>(t, 8, byte);
}

TEST_CASE("tensor cores align to the largest, cut, and make one NaN") {
  const auto sum = [](float acc, std::vector<float> terms) {
    float x[8] = {}, y[8];
    for (size_t i = 0; i < 8; ++i) y[i] = 1;
    for (size_t i = 0; i < terms.size(); ++i) x[i] = terms[i];
    return emulation::tensor_sum(acc, x, y);
  };
  CHECK(sum(3, {1, 2, -8}) == -2);
  CHECK(sum(0x1p24f, {1, 1}) == 0x1p24f + 2);    // two that no float could add one by one
  CHECK(sum(0x1p25f, {1, 1, 1, 1}) == 0x1p25f);  // each falls below the last bit
  CHECK(sum(-0x1p25f, {-1.5f}) == -0x1p25f);
  CHECK(sum(1, {0x3p-25f}) == 1);  // cut, where the nearest is above
  CHECK(sum(-1, {-0x3p-25f}) == -1);
  CHECK(sum(0, {0x1p-120f, 0x1p-121f}) == 0x3p-121f);
  CHECK(sum(1, {INFINITY}) == INFINITY);
  for (const float undefined : {sum(INFINITY, {-INFINITY}), sum(NAN, {1}), sum(0, {1, NAN})})
    CHECK(std::bit_cast<uint32_t>(undefined) == 0x7fffffff);
}

TEST_SUITE_END();
