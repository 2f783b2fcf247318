// Its row has the floats of avx512.cpp, with their bits, and integers by the instruction for dot
// products.
#include "core/cpu/kernels/int8_dot.inl"

namespace pare::cpu {
void int8_dot4_avx512_vnni(const uint8_t* x, const int8_t* const* w, int64_t k, int32_t* acc) {
  int8_dot4(x, w, k, acc);
}
}  // namespace pare::cpu
