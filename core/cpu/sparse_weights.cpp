#include "core/cpu/sparse_weights.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace pare::cpu {
namespace {

// Blocks by their length, equal ones in order.
std::vector<int32_t> longest_first(const std::vector<int32_t>& starts) {
  const auto length = [&](int32_t b) { return starts[size_t(b) + 1] - starts[size_t(b)]; };
  std::vector<int32_t> order(starts.size() - 1);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return length(a) != length(b) ? length(a) > length(b) : a < b;
  });
  return order;
}

using Weight = std::function<float(int64_t, int64_t)>;
using Offset = std::function<int64_t(int64_t)>;

SparseWeights pack_blocks(SparseForm form, int64_t outputs, int64_t columns, const float* bias,
                          const Weight& weight, const Offset& offset) {
  const auto [rows, run, shared] = shape_of(form);
  check(columns % run == 0, "sparse blocks of 1x{} do not divide {} columns", run, columns);
  SparseWeights s;
  s.form = form, s.outputs = outputs;
  const int64_t blocks = (outputs + rows - 1) / rows;
  s.bias.assign(size_t(blocks * rows), 0.0f);
  std::copy_n(bias, outputs, s.bias.begin());
  s.starts.push_back(0);
  std::vector<float> column(size_t(rows * run));
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t k = 0; k < columns; k += run) {
      for (int r = 0; r < rows; ++r)
        for (int i = 0; i < run; ++i)
          column[size_t(i * rows + r)] =
              b * rows + r < outputs ? weight(b * rows + r, k + i) : 0.0f;
      if (std::all_of(column.begin(), column.end(), [](float w) { return w == 0; })) continue;
      s.offsets.push_back(int32_t(offset(k)));
      s.values.insert(s.values.end(), column.begin(), column.end());
    }
    s.starts.push_back(int32_t(s.offsets.size()));
  }
  return s;
}

SparseWeights pack_slices(int64_t outputs, int64_t columns, const float* bias, const Weight& weight,
                          const Offset& offset) {
  constexpr int64_t slice = shape_of(SparseForm::slices).rows;
  const SparseWeights plain = pack_blocks(SparseForm::rows, outputs, columns, bias, weight, offset);
  SparseWeights s;
  s.form = SparseForm::slices, s.outputs = outputs, s.bias = plain.bias;
  s.order = longest_first(plain.starts);
  // The last slice may take its first row again.
  while (int64_t(s.order.size()) % slice != 0)
    s.order.push_back(s.order[size_t(outputs / slice * slice)]);
  s.starts.push_back(0);
  for (int64_t first = 0; first < outputs; first += slice) {
    const auto start = [&](int64_t r) { return plain.starts[size_t(s.order[size_t(first + r)])]; };
    const auto end = [&](int64_t r) {
      return plain.starts[size_t(s.order[size_t(first + r)]) + 1];
    };
    const int32_t length = end(0) - start(0);
    for (int32_t i = 0; i < length; ++i)
      for (int64_t r = 0; r < slice; ++r) {
        const bool kept = i < end(r) - start(r);
        // A zero reads what the longest row reads.
        const auto at = size_t(kept ? start(r) + i : start(0) + i);
        s.offsets.push_back(plain.offsets[at]);
        s.values.push_back(kept ? plain.values[at] : 0.0f);
      }
    s.starts.push_back(s.starts.back() + length);
  }
  if (std::all_of(s.offsets.begin(), s.offsets.end(), [](int32_t o) { return o < 1 << 16; })) {
    s.short_offsets.assign(s.offsets.begin(), s.offsets.end());
    s.offsets = std::vector<int32_t>();
  }
  return s;
}

}  // namespace

SparseWeights pack_sparse(SparseForm form, int64_t outputs, int64_t columns, const float* bias,
                          const Weight& weight, const Offset& offset) {
  return form == SparseForm::slices ? pack_slices(outputs, columns, bias, weight, offset)
                                    : pack_blocks(form, outputs, columns, bias, weight, offset);
}

SparseWeights pack_sparse_row(int64_t outputs, int64_t columns, const float* bias,
                              const float* weight) {
  const SparseWeights plain = pack_blocks(
      SparseForm::blocks_8x1, outputs, columns, bias,
      [&](int64_t o, int64_t k) { return weight[o * columns + k]; }, [](int64_t k) { return k; });
  SparseWeights s = plain;
  s.order = longest_first(plain.starts);
  s.starts.assign(1, 0);
  s.offsets.clear();
  s.values.clear();
  for (const int32_t b : s.order) {
    const auto first = plain.starts[size_t(b)], last = plain.starts[size_t(b) + 1];
    s.offsets.insert(s.offsets.end(), plain.offsets.begin() + first, plain.offsets.begin() + last);
    s.values.insert(s.values.end(), plain.values.begin() + int64_t(first) * 8,
                    plain.values.begin() + int64_t(last) * 8);
    s.starts.push_back(int32_t(s.offsets.size()));
  }
  return s;
}

SparseProduct SparseWeights::product() const {
  SparseProduct p;
  p.form = form, p.outputs = outputs, p.order = order.data();
  p.starts = starts.data(), p.offsets = offsets.data();
  p.short_offsets = short_offsets.empty() ? nullptr : short_offsets.data();
  p.values = values.data(), p.bias = bias.data();
  return p;
}
SparseRow SparseWeights::row() const {
  SparseRow p;
  p.outputs = outputs, p.blocks = int64_t(order.size());
  p.starts = starts.data(), p.columns = offsets.data();
  p.values = values.data(), p.order = order.data(), p.bias = bias.data();
  return p;
}

}  // namespace pare::cpu
