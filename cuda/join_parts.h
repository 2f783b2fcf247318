// The last step of a product whose depth was split: the sum of the parts goes where the product's
// element does. Few parts: a thread adds those of neighbouring columns, in order. Many parts have
// small results: their sums are shared between threads (cuda/columns.h).
#pragma once

#include "cuda/columns.h"
#include "cuda/host.h"
#include "cuda/product_tile.h"

namespace pare::cuda {

template <class T, int width>
PARE_KERNEL void join_parts_kernel(Result<T> result, Split<T> split, Divisor across) {
  const int vector = block_x() * threads_per_block + thread_x();
  const int row = across.quotient(vector), column = (vector - row * across.value) * width;
  if (row >= result.m) return;
  const int64_t size = int64_t(result.m) * result.n, step = size * grid_height();
  const T* part = split.sums + block_y() * size + int64_t(row) * result.n + column;
  Vector<T, width> sum{};
  for (int p = 0; p < split.parts; ++p, part += step) {
    const Vector<T, width> more = load<width>(part);
    PARE_UNROLL
    for (int j = 0; j < width; ++j) sum[j] = sum[j] + more[j];
  }
  T* c = result.c + block_y() * result.group_step + result.row_offset(row);
  const T* bias = result.bias ? result.bias + block_y() * int64_t(result.n) : nullptr;
  PARE_UNROLL
  for (int j = 0; j < width; ++j)
    result.put(c + result.column_offset(column + j), sum[j], bias ? bias + column + j : nullptr);
}

template <class T>
struct ReadParts {
  using State = Sums<T, 1>;
  const T* p;
  int64_t size;
  PARE_DEVICE void add(State& state, int64_t part, int64_t i) const {
    state.v[0] = state.v[0] + p[part * size + i];
  }
};
template <class T>
struct PutSum {
  Result<T> result;
  PARE_DEVICE void operator()(int64_t, int64_t i, const Sums<T, 1>& sum) const {
    const int64_t size = int64_t(result.m) * result.n;
    const int64_t group = i / size, rest = i - group * size;
    const int row = int(rest / result.n), column = int(rest - int64_t(row) * result.n);
    result.put(result.c + group * result.group_step + result.row_offset(row) +
                   result.column_offset(column),
               sum.v[0], result.bias ? result.bias + group * result.n + column : nullptr);
  }
};

template <class T>
void join_parts(const Result<T>& result, const Split<T>& split, int64_t groups) {
  constexpr int many = 16;
  if (split.parts > many) {
    const int64_t size = groups * result.m * result.n;
    return over_columns(ReadParts<T>{split.sums, size}, PutSum<T>{result}, split.parts, size);
  }
  const auto run = [&]<int width>(std::integral_constant<int, width>) {
    const int64_t across = result.n / width;
    launch(join_parts_kernel<T, width>, Dim(ceil_div(result.m * across, threads_per_block), groups),
           threads_per_block, 0, stream(), result, split, Divisor(across));
  };
  constexpr int most = 16 / int(sizeof(T));
  if (result.n % most == 0)
    run(std::integral_constant<int, most>{});
  else
    run(std::integral_constant<int, 1>{});
}

}  // namespace pare::cuda
