#include "compress/kernels/winograd.inl"

namespace pare {
const WinogradKernel& winograd_scalar() { return winograd_table; }
}  // namespace pare
