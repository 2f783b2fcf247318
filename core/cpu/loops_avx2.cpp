#include "core/cpu/loops.inl"

namespace pare::cpu {

template <>
const Loops<float>& loops_avx2<float>() {
  return loop_table<float>;
}
template <>
const Loops<double>& loops_avx2<double>() {
  return loop_table<double>;
}

}  // namespace pare::cpu
