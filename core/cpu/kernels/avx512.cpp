#include "core/cpu/kernels/table.inl"

namespace pare::cpu {
const Kernels& avx512_kernels() { return table; }
}  // namespace pare::cpu
