#include "core/cpu/kernels/table.inl"

namespace pare::cpu {
const Kernels& scalar_kernels() { return table; }
}  // namespace pare::cpu
