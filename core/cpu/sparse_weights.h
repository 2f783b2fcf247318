// Weights packed for the sparse kernels (core/cpu/kernels/sparse.h).
#pragma once

#include <functional>
#include <vector>

#include "core/cpu/kernels/sparse.h"

namespace pare::cpu {

struct SparseWeights {
  SparseForm form = SparseForm::rows;
  int64_t outputs = 0;
  std::vector<int32_t> starts, offsets;
  std::vector<uint16_t> short_offsets;  // of slices, in place of offsets where they suffice
  std::vector<float> values, bias;
  std::vector<int32_t> order;  // of slices and of SparseRow

  int64_t bytes() const {
    return int64_t((starts.size() + offsets.size() + values.size() + order.size()) * 4 +
                   short_offsets.size() * 2);
  }
  SparseProduct product() const;
  SparseRow row() const;
};
// weight(o, k) for o < outputs and k < columns, in the order of summation; offset(k) where column k
// lies in x. A block's run divides `columns`. Slices begin with the longest.
SparseWeights pack_sparse(SparseForm form, int64_t outputs, int64_t columns, const float* bias,
                          const std::function<float(int64_t, int64_t)>& weight,
                          const std::function<int64_t(int64_t)>& offset);
// For SparseKernels::row: blocks of eight outputs of a row-major [outputs, columns] matrix.
SparseWeights pack_sparse_row(int64_t outputs, int64_t columns, const float* bias,
                              const float* weight);

}  // namespace pare::cpu
