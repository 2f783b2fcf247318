#include "core/cpu/loops.inl"

namespace pare::cpu {

template <>
const Loops<float>& loops_scalar<float>() {
  return loop_table<float>;
}
template <>
const Loops<double>& loops_scalar<double>() {
  return loop_table<double>;
}

}  // namespace pare::cpu
