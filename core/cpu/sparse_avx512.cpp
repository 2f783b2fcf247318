#include "core/cpu/sparse.inl"

namespace pare::cpu {
const SparseKernels& sparse_kernels_avx512() { return sparse_table; }
}  // namespace pare::cpu
