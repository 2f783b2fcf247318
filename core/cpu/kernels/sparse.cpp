#include "core/cpu/kernels/sparse.h"

namespace pare::cpu {

const char* name_of(SparseForm form) {
  switch (form) {
    case SparseForm::blocks_4x1:
      return "4x1 blocks";
    case SparseForm::blocks_8x1:
      return "8x1 blocks";
    case SparseForm::blocks_1x4:
      return "1x4 blocks";
    case SparseForm::rows:
      return "single weights row by row";
    case SparseForm::slices:
      break;
  }
  return "single weights";
}

}  // namespace pare::cpu
