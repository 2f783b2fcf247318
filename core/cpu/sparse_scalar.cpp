#include "core/cpu/sparse.inl"

namespace pare::cpu {
const SparseKernels& sparse_kernels_scalar() { return sparse_table; }
}  // namespace pare::cpu
