#include "cuda/rows.h"

namespace pare::cuda {

const std::vector<KernelRow>& all_rows() {
  static const std::vector<KernelRow> rows = [] {
    std::vector<KernelRow> all;
    for (const KernelList& list : {
             tensor_rows(),
             pointwise_rows(),
             broadcast_rows(),
             dense_rows(),
             conv_rows(),
             pooling_rows(),
             batch_norm_rows(),
         })
      all.insert(all.end(), list.rows, list.rows + list.count);
    return all;
  }();
  return rows;
}

}  // namespace pare::cuda
