// The gradient before a fused activation, and its column sums for the bias.
#pragma once

#include "cuda/columns.h"

namespace pare::cuda {

template <class T>
struct ReadMasked {
  using State = Sums<T, 1>;
  const T *dy, *y;
  T* masked;
  int64_t columns;
  PARE_DEVICE void add(State& state, int64_t row, int64_t c) const {
    const int64_t i = row * columns + c;
    const T g = !y || y[i] > T(0) ? dy[i] : T(0);
    if (masked) masked[i] = g;
    state.v[0] = state.v[0] + g;
  }
};
template <class T>
struct PutColumn {
  T* to;
  bool accumulate;
  PARE_DEVICE void operator()(int64_t, int64_t c, const Sums<T, 1>& sum) const {
    if (to) to[c] = accumulate ? to[c] + sum.v[0] : sum.v[0];
  }
};

// g = dy where y > 0, or dy where y is null (then dy itself is returned); db (+)= column sums of g
// unless db is null.
template <class T>
const T* unmask(const T* dy, const T* y, int64_t rows, int64_t columns, T* db, bool accumulate_db) {
  T* masked = y ? scratch<T>(rows * columns) : nullptr;
  if (y || db)
    over_columns(ReadMasked<T>{dy, y, masked, columns}, PutColumn<T>{db, accumulate_db}, rows,
                 columns);
  return y ? masked : dy;
}

}  // namespace pare::cuda
