#include "compress/kernels/winograd.inl"

namespace pare {
const WinogradKernel& winograd_avx2() { return winograd_table; }
}  // namespace pare
