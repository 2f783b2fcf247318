// Matrix products on row-major matrices, float and double, on all threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pare::cpu {

// C[m][n] = (accumulate ? C : 0) + op(A) * op(B) + bias, then ReLU if asked. op(A) is m x k: A
// itself with row stride lda, or transposed from k x m; likewise op(B), k x n. bias is per column
// or null. Every element is summed over k in order by one thread: the bits do not depend on the
// threads.
template <class T>
struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  ptrdiff_t lda = 0;
  bool a_transposed = false;
  const T* b = nullptr;
  ptrdiff_t ldb = 0;
  bool b_transposed = false;
  T* c = nullptr;
  ptrdiff_t ldc = 0;
  bool accumulate = false;
  const T* bias = nullptr;
  bool relu = false;
};
template <class T>
void gemm(const GemmArgs<T>& args);

}  // namespace pare::cpu
