#include "core/cpu/kernels/table.inl"

namespace pare::cpu {
const Kernels& avx2_kernels() { return table; }
}  // namespace pare::cpu
