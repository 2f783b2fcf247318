// Kernel row of int8_dense: u8 activations times s8 weights, exact in int32, requantized to u8 as
// compress/quantize/arithmetic.h says: the bits of the scalar reference.
//
// A block computes a tile of 64 examples x 64 outputs, four warps 32 x 32 each, from tiles of 64
// bytes of the inner axis that arrive in shared memory while the last ones are multiplied: on
// tensor cores (mma m16n8k32) where the GPU has them, else by dp4a. Integer sums are exact, so
// their order does not matter.
#include <iterator>

#include "compress/quantize/arithmetic.h"
#include "cuda/device.h"
#include "cuda/mma.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

constexpr int side = 64, threads = 128, words = 16;  // words of four bytes to a row of a tile
// A row takes 20 words: rows g and words t of a fragment (cuda/mma.h) then lie in 32 banks.
constexpr int pitch = words + 4, tile_words = side * pitch;

struct Problem {
  const uint8_t* x;
  const int8_t* w;
  const int32_t* bias;
  const float* multiplier;
  uint8_t* y;
  int64_t n, in, out;
  int32_t y_zero;
  bool relu;
};

// Copies 64 rows of 64 bytes, from row `first` and byte k on; what lies outside is zero. Bytes: how
// many to a copy; all rows begin on a multiple of them. 1: none of that holds.
template <int Bytes>
PARE_DEVICE inline void load_tile(Shared<uint32_t> to, const uint8_t* from, int64_t rows,
                                  int64_t columns, int64_t first, int64_t k) {
  constexpr int step = Bytes == 1 ? 4 : Bytes;  // bytes of a row at a time
  for (int i = thread_x(); i < side * words * 4 / step; i += threads) {
    const int row = i / (words * 4 / step), byte = i % (words * 4 / step) * step;
    const int at = row * pitch + byte / 4;
    const bool inside = first + row < rows;
    const int64_t place = (first + row) * columns + k + byte;
    if constexpr (Bytes > 1) {
      const bool valid = inside && k + byte < columns;
      cp_async<Bytes>(to + at, reinterpret_cast<const uint32_t*>(from + (valid ? place : 0)),
                      valid);
    } else {
      uint32_t word = 0;
      for (int b = 0; b < 4; ++b)
        if (inside && k + byte + b < columns) word |= uint32_t(from[place + b]) << (8 * b);
      to[at] = word;
    }
  }
}

PARE_DEVICE inline void finish(const Problem& p, int64_t row, int64_t column, int32_t sum) {
  if (row >= p.n || column >= p.out) return;
  const int32_t acc = int32_t(uint32_t(sum) + uint32_t(p.bias[column]));
  p.y[row * p.out + column] = requantize(acc, p.multiplier[column], p.y_zero, p.relu);
}

// The part of a tile that one thread computes. Its loops are unrolled: the sums are in registers.
struct TensorCores {
  int32_t sum[2][4][4] = {};
  PARE_DEVICE void step(Shared<uint32_t> x, Shared<uint32_t> w) {
    const int g = lane() / 4, t = lane() % 4, row = warp() / 2 * 32, column = warp() % 2 * 32;
    PARE_UNROLL
    for (int k = 0; k < words; k += 8) {
      uint32_t a[2][4], b[4][2];
      PARE_UNROLL
      for (int i = 0; i < 2; ++i) PARE_UNROLL
      for (int v = 0; v < 4; ++v)
        a[i][v] = x[(row + i * 16 + v % 2 * 8 + g) * pitch + k + v / 2 * 4 + t];
      PARE_UNROLL
      for (int j = 0; j < 4; ++j) PARE_UNROLL
      for (int v = 0; v < 2; ++v) b[j][v] = w[(column + j * 8 + g) * pitch + k + v * 4 + t];
      PARE_UNROLL
      for (int i = 0; i < 2; ++i) PARE_UNROLL
      for (int j = 0; j < 4; ++j) mma_u8s8(sum[i][j], a[i], b[j]);
    }
  }
  PARE_DEVICE void write(const Problem& p, int64_t row, int64_t column) const {
    row += warp() / 2 * 32 + lane() / 4;
    column += warp() % 2 * 32 + lane() % 4 * 2;
    PARE_UNROLL
    for (int i = 0; i < 2; ++i) PARE_UNROLL
    for (int j = 0; j < 4; ++j) PARE_UNROLL
    for (int v = 0; v < 4; ++v)
      finish(p, row + i * 16 + v / 2 * 8, column + j * 8 + v % 2, sum[i][j][v]);
  }
};
struct Dp4a {
  int32_t sum[8][4] = {};
  PARE_DEVICE void step(Shared<uint32_t> x, Shared<uint32_t> w) {
    const int r = thread_x() / 16, c = thread_x() % 16;
    for (int k = 0; k < words; ++k) {
      uint32_t b[4];
      PARE_UNROLL
      for (int j = 0; j < 4; ++j) b[j] = w[(c + j * 16) * pitch + k];
      PARE_UNROLL
      for (int i = 0; i < 8; ++i) {
        const uint32_t a = x[(r + i * 8) * pitch + k];
        PARE_UNROLL
        for (int j = 0; j < 4; ++j) sum[i][j] = dp4a_u8s8(a, b[j], sum[i][j]);
      }
    }
  }
  PARE_DEVICE void write(const Problem& p, int64_t row, int64_t column) const {
    const int r = thread_x() / 16, c = thread_x() % 16;
    PARE_UNROLL
    for (int i = 0; i < 8; ++i) PARE_UNROLL
    for (int j = 0; j < 4; ++j) finish(p, row + r + i * 8, column + c + j * 16, sum[i][j]);
  }
};

template <class Unit, int Bytes>
PARE_KERNEL void dense_kernel(Problem p) {
  PARE_SHARED(uint32_t, xs, 2 * tile_words);
  PARE_SHARED(uint32_t, ws, 2 * tile_words);
  const int64_t row = int64_t(block_x()) * side, column = int64_t(block_y()) * side;
  const auto* w = reinterpret_cast<const uint8_t*>(p.w);
  const auto fetch = [&](int64_t k, int stage) {
    if (k < p.in) {
      load_tile<Bytes>(xs + stage * tile_words, p.x, p.n, p.in, row, k);
      load_tile<Bytes>(ws + stage * tile_words, w, p.out, p.in, column, k);
    }
    cp_async_commit();
  };
  Unit unit;
  fetch(0, 0);
  int stage = 0;
  for (int64_t k = 0; k < p.in; k += side, stage ^= 1) {
    fetch(k + side, stage ^ 1);
    cp_async_wait<1>();
    barrier();
    unit.step(xs + stage * tile_words, ws + stage * tile_words);
    barrier();
  }
  cp_async_wait<0>();
  unit.write(p, row, column);
}

template <class Unit>
void run(const Problem& p) {
  const auto aligned = [&](int64_t bytes) {
    return p.in % bytes == 0 && uintptr_t(p.x) % size_t(bytes) == 0 &&
           uintptr_t(p.w) % size_t(bytes) == 0;
  };
  auto* kernel = aligned(16)  ? dense_kernel<Unit, 16>
                 : aligned(4) ? dense_kernel<Unit, 4>
                              : dense_kernel<Unit, 1>;
  constexpr int64_t most = 65535;  // blocks along y
  if (ceil_div(p.out, side) > most)
    throw Failure(Status::failed, "an int8 layer of more than 4 million outputs");
  launch(kernel, Dim(ceil_div(p.n, side), ceil_div(p.out, side)), threads, 0, stream(), p);
}

Status int8_dense(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &w = args.inputs[1];
  const Problem p{x.as<uint8_t>(),
                  w.as<int8_t>(),
                  args.inputs[2].as<int32_t>(),
                  args.inputs[3].as<float>(),
                  args.outputs[0].as<uint8_t>(),
                  x.dims[0],
                  w.dims[1],
                  w.dims[0],
                  int32_t(args.attrs->integer("y_zero")),
                  args.attrs->integer("relu") != 0};
  if (properties().capability >= 80)
    run<TensorCores>(p);
  else
    run<Dp4a>(p);
  return Status::ok;
}

constexpr KernelRow rows[] = {{"int8_dense.forward", 1, guarded<int8_dense>}};

}  // namespace

KernelList int8_dense_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
