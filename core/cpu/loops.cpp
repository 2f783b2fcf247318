#include "core/cpu/loops.h"

#include "core/cpu/isa.h"

namespace pare::cpu {

template <class T>
const Loops<T>& loops() {
#if defined(__x86_64__)
  switch (current_isa()) {
    case Isa::avx512:
      return loops_avx512<T>();
    case Isa::avx2:
      return loops_avx2<T>();
    case Isa::scalar:
      break;
  }
#endif
  return loops_scalar<T>();
}
template const Loops<float>& loops<float>();
template const Loops<double>& loops<double>();

}  // namespace pare::cpu
