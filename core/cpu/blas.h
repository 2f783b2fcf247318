// OpenBLAS, loaded at run time when asked for: PARE_BLAS=openblas (or the path of a library) lets
// large matrix products of training run through it, single-threaded inside pare's own tiles.
// Without it pare's packed kernels are used, which docs/benchmarks.md compares.
//
// Loading late lets its kernels be chosen for the CPU at hand: Debian's release takes those of an
// old CPU on new ones unless OPENBLAS_CORETYPE says otherwise before it is loaded.
#pragma once

#include <string>

#include "core/cpu/gemm.h"

namespace pare::cpu {

// What is in use: "none: pare's own kernels", or library, version and core. Throws Error{usage}
// where PARE_BLAS names a library that cannot be loaded or used.
std::string blas_description();

bool blas_in_use();
// C = op(A) op(B) (+ C) by BLAS, which must be in use. Bias and ReLU are the caller's.
template <class T>
void blas_gemm(const GemmArgs<T>& args);

}  // namespace pare::cpu
