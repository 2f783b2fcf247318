// All functions that depend on the instruction set, as one table; list.cpp says which table is
// used.
#pragma once

#include "core/cpu/kernels/int8_dot.h"
#include "core/cpu/kernels/loops.h"
#include "core/cpu/kernels/matrix_tile.h"
#include "core/cpu/kernels/row_product.h"
#include "core/cpu/kernels/sparse.h"
#include "core/cpu/kernels/winograd.h"

namespace pare::cpu {

struct Kernels {
  MatrixKernels<float> matrix_f32;
  MatrixKernels<double> matrix_f64;
  Loops<float> loops_f32;
  Loops<double> loops_f64;
  SparseKernels sparse;
  WinogradKernel winograd;
  RowProduct row_product;
  Int8Dot4 int8_dot4;
};

// Those of current_isa().
const Kernels& kernels();
template <class T>
const MatrixKernels<T>& matrix_kernels();
template <class T>
const Loops<T>& loops();
template <>
inline const MatrixKernels<float>& matrix_kernels<float>() {
  return kernels().matrix_f32;
}
template <>
inline const MatrixKernels<double>& matrix_kernels<double>() {
  return kernels().matrix_f64;
}
template <>
inline const Loops<float>& loops<float>() {
  return kernels().loops_f32;
}
template <>
inline const Loops<double>& loops<double>() {
  return kernels().loops_f64;
}

// One file each. Those of wide instruction sets stand in x86-64 builds alone; the CPU must have
// what the list says that their row needs.
const Kernels& scalar_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();

}  // namespace pare::cpu
