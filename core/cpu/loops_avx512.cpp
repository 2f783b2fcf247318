#include "core/cpu/loops.inl"

namespace pare::cpu {

template <>
const Loops<float>& loops_avx512<float>() {
  return loop_table<float>;
}
template <>
const Loops<double>& loops_avx512<double>() {
  return loop_table<double>;
}

}  // namespace pare::cpu
