#include "compress/kernels/winograd.inl"

namespace pare {
const WinogradKernel& winograd_avx512() { return winograd_table; }
}  // namespace pare
