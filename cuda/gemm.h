// Matrix products on row-major matrices on the device, float and double.
#pragma once

#include <string>

#include "cuda/host.h"

namespace pare::cuda {

// C[m][n] = (accumulate ? C : 0) + op(A) op(B) + bias, then ReLU if asked. op(A) is m x k: A
// itself, rows of k, or transposed from k rows of m; likewise op(B), k x n. C has rows of n;
// nothing lies between rows. bias is per column or null.
template <class T>
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  bool a_transposed = false;
  const T* b = nullptr;
  bool b_transposed = false;
  T* c = nullptr;
  bool accumulate = false;
  const T* bias = nullptr;
  bool relu = false;
  Precision precision = Precision::fp32;
};
template <class T>
void gemm(const Gemm<T>& args);

// By the maker's library where there is one (cuBLASLt on a GPU; none in the emulation); false where
// it cannot, for want of memory say.
bool vendor_gemm(const Gemm<float>& args);
// The library with its version; "" where there is none.
std::string vendor_gemm_name();

}  // namespace pare::cuda
