#include "autograd/mask_cover.h"

#include <algorithm>

#include "autograd/run_code.h"
#include "autograd/weight_matrix.h"

namespace pare {
namespace {

int64_t count_kept(const Tensor& mask) {
  const auto* m = mask.data<uint8_t>();
  return std::count(m, m + mask.elements(), uint8_t(1));
}

// Of every tile all, where the mask keeps any.
Tensor whole_tiles(const Tensor& mask, const WeightMatrix& m, int64_t rows, int64_t columns) {
  const int64_t across = (m.columns + columns - 1) / columns;
  std::vector<int64_t> tile;  // of each element of a row
  for (int64_t i = 0; i < m.columns; ++i) tile.push_back(m.column(i) / columns);
  std::vector<uint8_t> keep(size_t((m.rows + rows - 1) / rows * across));
  const Tensor out = Tensor::empty(mask.shape(), DType::u8);
  const auto for_each = [&](auto&& f) {
    for (int64_t r = 0, i = 0; r < m.rows; ++r)
      for (const int64_t t : tile) f(i++, keep[size_t(r / rows * across + t)]);
  };
  for_each([&](int64_t i, uint8_t& kept) { kept |= mask.data<uint8_t>()[i]; });
  for_each([&](int64_t i, uint8_t& kept) { out.data<uint8_t>()[i] = kept; });
  return out;
}

// Of every run as many as of the fullest, the first of those that the mask drops.
Tensor full_runs(const Tensor& mask, const WeightMatrix& m, int64_t of) {
  const Tensor out = mask.clone();
  auto* keep = out.data<uint8_t>();
  const auto for_runs = [&](auto&& f) {
    for (int64_t r = 0; r < m.rows; ++r)
      for (int64_t c = 0; c < m.columns; c += of) {
        const int64_t length = std::min(of, m.columns - c);
        int64_t kept = 0;
        for (int64_t i = c; i < c + length; ++i) kept += keep[r * m.columns + m.offset(i)];
        f(r * m.columns, c, length, kept);
      }
  };
  int64_t most = 0;
  for_runs([&](int64_t, int64_t, int64_t length, int64_t kept) {
    if (kept > 0) most = std::max(most, (kept - 1) * of / length + 1);
  });
  for_runs([&](int64_t row, int64_t c, int64_t length, int64_t kept) {
    for (int64_t i = c; kept < (length * most + of - 1) / of; ++i) {
      uint8_t& k = keep[row + m.offset(i)];
      kept += k == 0;
      k = 1;
    }
  });
  return out;
}

}  // namespace

CoveredMask cover_mask(const Tensor& mask, int64_t element_bytes) {
  const WeightMatrix m(mask.shape());
  CoveredMask best;
  int64_t least = INT64_MAX;  // bytes of the code and the elements kept
  const auto consider = [&](const Tensor& cover) {
    const int64_t stored = count_kept(cover) * element_bytes;
    if (stored >= least) return;
    MaskCode code = encode_mask(cover, stored);
    const int64_t bytes = stored + code.bytes.elements();
    if (bytes < least) best = {cover, std::move(code)};
    least = std::min(least, bytes);
  };
  consider(mask);
  for (int64_t extent = 2; extent <= 64; extent *= 2) {
    if (extent <= m.rows) consider(whole_tiles(mask, m, extent, 1));
    if (extent <= m.columns) consider(whole_tiles(mask, m, 1, extent));
    if (extent <= std::min<int64_t>(longest_run, m.columns)) consider(full_runs(mask, m, extent));
  }
  return best;
}

}  // namespace pare
