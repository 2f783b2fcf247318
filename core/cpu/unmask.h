// The step before the products of a dense layer's backward.
#pragma once

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"
#include "core/thread_pool.h"

namespace pare::cpu {

// The gradient before the activation, and its column sums into db: one pass over fixed blocks of
// rows whose sums are added in order. Returns dy itself where nothing is masked, else memory of
// `scratch`.
template <class T>
const T* unmask(Scratch& scratch, const T* dy, const T* y, int64_t rows, int64_t columns, T* db,
                bool accumulate_db) {
  constexpr int64_t block = 1024;
  const int64_t blocks = (rows + block - 1) / block;
  T* masked = y ? scratch.take<T>(size_t(rows * columns)) : nullptr;
  Scratch own;
  T* sums = own.take<T>(size_t(blocks * columns));
  if (y || db)
    parallel_for(blocks, [&](int64_t i) {
      const int64_t first = i * block, n = rows - first < block ? rows - first : block;
      const int64_t at = first * columns;
      loops<T>().masked_sums(dy + at, y ? y + at : nullptr, y ? masked + at : nullptr,
                             sums + i * columns, n, columns);
    });
  for (int64_t c = 0; db && c < columns; ++c) {
    T total = accumulate_db ? db[c] : T(0);
    for (int64_t i = 0; i < blocks; ++i) total += sums[i * columns + c];
    db[c] = total;
  }
  return y ? masked : dy;
}

}  // namespace pare::cpu
