#include "cuda/rows.h"

namespace pare::cuda {

const std::vector<KernelRow>& all_rows() {
  static const std::vector<KernelRow> rows = [] {
    std::vector<KernelRow> all;
    for (const KernelList& list : {
             tensor_rows(),
             pointwise_rows(),
             broadcast_rows(),
             batch_rows(),
             optimizer_rows(),
             loss_rows(),
             dense_rows(),
             conv_rows(),
             softmax_rows(),
             reduce_rows(),
             box_rows(),
             dropout_rows(),
             quantize_rows(),
             int8_dense_rows(),
             pooling_rows(),
             batch_norm_rows(),
         })
      all.insert(all.end(), list.rows, list.rows + list.count);
    return all;
  }();
  return rows;
}

}  // namespace pare::cuda
