#include "autograd/mask_code.h"

#include <cstring>
#include <numeric>

#include "autograd/run_code.h"
#include "autograd/weight_matrix.h"

namespace pare {
namespace {

using Flags = std::vector<uint8_t>;  // 0 or 1

constexpr uint8_t skip = 255;
constexpr int64_t elements_a_byte = skip + 1;
// What naming tiles or runs takes in the graph; a code that saves no more is not worth a file that
// older programs refuse.
constexpr int64_t bytes_to_name = 24;

bool believable(int64_t elements, int64_t bytes) {
  return elements < (bytes + 1) * elements_a_byte;
}

int64_t bits_bytes(int64_t count) { return (count + 7) / 8; }

Flags to_bits(const Flags& flags) {
  Flags bits(size_t(bits_bytes(int64_t(flags.size()))));
  for (size_t i = 0; i < flags.size(); ++i) bits[i / 8] |= uint8_t(flags[i] << (i % 8));
  return bits;
}

std::optional<Flags> from_bits(const Tensor& bits, int64_t count) {
  if (bits.elements() != bits_bytes(count)) return std::nullopt;
  Flags flags(size_t(count), 0);
  for (size_t i = 0; i < flags.size(); ++i) flags[i] = bits.data<uint8_t>()[i / 8] >> (i % 8) & 1;
  return flags;
}

Flags to_gaps(const Flags& flags) {
  Flags gaps;
  uint8_t gap = 0;
  for (const uint8_t kept : flags)
    if (kept) {
      gaps.push_back(gap);
      gap = 0;
    } else if (++gap == skip) {
      gaps.push_back(skip);
      gap = 0;
    }
  return gaps;
}

std::optional<Flags> from_gaps(const Tensor& gaps, int64_t count) {
  if (!believable(count, gaps.elements())) return std::nullopt;
  Flags flags(size_t(count), 0);
  int64_t at = 0;
  for (int64_t i = 0; i < gaps.elements(); ++i) {
    const uint8_t gap = gaps.data<uint8_t>()[i];
    at += gap;
    if (gap == skip) continue;
    if (at >= count) return std::nullopt;
    flags[size_t(at++)] = 1;
  }
  if (at > count || count - at >= skip) return std::nullopt;
  return flags;
}

Flags flags_of(const Tensor& mask) {
  Flags flags = mask.to_vector<uint8_t>();
  for (uint8_t& f : flags) f = f != 0;
  return flags;
}

// f(element in C order, row, column) for every element, in the order of the weight's matrix.
template <class F>
void for_elements(const WeightMatrix& m, F&& f) {
  if (m.columns == 0) return;
  for (int64_t row = 0; row < m.rows; ++row)
    for (int64_t place = 0, column = 0; place < m.places; ++place)
      for (int64_t input = 0; input < m.inputs; ++input, ++column)
        f(size_t(row * m.columns + input * m.places + place), row, column);
}

// What lies in C order, in the order of the weight's matrix.
Flags to_matrix(const Flags& flags, const WeightMatrix& m) {
  Flags out;
  out.reserve(flags.size());
  for_elements(m, [&](size_t element, int64_t, int64_t) { out.push_back(flags[element]); });
  return out;
}

struct Tiles {
  int64_t rows, columns;  // of one
  int64_t count(const WeightMatrix& m) const {
    return (m.rows + rows - 1) / rows * ((m.columns + columns - 1) / columns);
  }
};

// The largest tiles that are kept or dropped whole: they end wherever a row, or a column, differs
// from the one before.
Tiles find_tiles(const Flags& flags, const WeightMatrix& m) {
  Tiles t{0, 0};
  Flags ends(size_t(m.columns), 0);
  for (int64_t r = 0; r < m.rows; ++r) {
    const uint8_t* row = flags.data() + r * m.columns;
    if (r > 0 && std::memcmp(row, row - m.columns, size_t(m.columns)) != 0)
      t.rows = std::gcd(t.rows, r);
    for (int64_t c = 1; c < m.columns; ++c) ends[size_t(c)] |= row[c] ^ row[c - 1];
  }
  for (int64_t c = 1; c < m.columns; ++c)
    if (ends[size_t(c)]) t.columns = std::gcd(t.columns, c);
  return {t.rows ? t.rows : m.rows, t.columns ? t.columns : m.columns};
}

// Of each tile what its first element has.
Flags from_elements(const Flags& flags, const WeightMatrix& m, const Tiles& t) {
  Flags tiles;
  for (int64_t r = 0; r < m.rows; r += t.rows)
    for (int64_t c = 0; c < m.columns; c += t.columns)
      tiles.push_back(flags[size_t(r * m.columns + c)]);
  return tiles;
}

MaskCode shorter_of_bits_and_gaps(const Flags& flags) {
  Flags bits = to_bits(flags), gaps = to_gaps(flags);
  const bool short_gaps = gaps.size() < bits.size();
  const Flags& bytes = short_gaps ? gaps : bits;
  return {.gaps = short_gaps, .bytes = Tensor::from(bytes, {int64_t(bytes.size())})};
}

}  // namespace

MaskCode encode_as_bits(const Tensor& mask) {
  const Flags bits = to_bits(flags_of(mask));
  return {.bytes = Tensor::from(bits, {int64_t(bits.size())})};
}

MaskCode encode_mask(const Tensor& mask, int64_t stored) {
  const Flags flags = flags_of(mask);
  MaskCode best = shorter_of_bits_and_gaps(flags);
  if (flags.empty()) return best;
  const WeightMatrix m(mask.shape());
  const Flags ordered = to_matrix(flags, m);
  const auto shortens = [&](int64_t bytes) {
    return bytes + (best.tiles() ? 0 : bytes_to_name) < best.bytes.elements();
  };
  if (const Tiles t = find_tiles(ordered, m); t.rows * t.columns > 1) {
    MaskCode tiles = shorter_of_bits_and_gaps(from_elements(ordered, m, t));
    tiles.tile_rows = t.rows;
    tiles.tile_columns = t.columns;
    const int64_t bytes = tiles.bytes.elements();
    if (shortens(bytes) && believable(mask.elements(), bytes + stored)) best = tiles;
  }
  if (const auto runs = find_runs(ordered, m.rows, m.columns); runs && shortens(runs->bytes())) {
    const Flags bytes = encode_runs(ordered, *runs);
    best = {
        .keep = runs->keep, .of = runs->of, .bytes = Tensor::from(bytes, {int64_t(bytes.size())})};
  }
  return best;
}

std::optional<Tensor> decode_mask(const MaskCode& code, const Shape& shape, int64_t stored) {
  const Tensor& bytes = code.bytes;
  const WeightMatrix m(shape);
  const Tiles t{code.tile_rows, code.tile_columns};
  if (!believable(shape.elements(), bytes.elements() + stored)) return std::nullopt;
  std::optional<Flags> flags;
  if (code.runs()) {
    if (code.keep < 1 || code.keep >= code.of || code.of > longest_run) return std::nullopt;
    flags = decode_runs(bytes.data<uint8_t>(), bytes.elements(),
                        {code.keep, code.of, m.rows, m.columns});
  } else {
    if (code.tiles() && (t.rows < 1 || t.rows > m.rows || t.columns < 1 || t.columns > m.columns))
      return std::nullopt;
    const int64_t count = code.tiles() ? t.count(m) : shape.elements();
    flags = code.gaps ? from_gaps(bytes, count) : from_bits(bytes, count);
  }
  if (!flags) return std::nullopt;
  const Tensor mask = Tensor::empty(shape, DType::u8);
  uint8_t* out = mask.data<uint8_t>();
  if (code.tiles()) {
    const int64_t across = (m.columns + t.columns - 1) / t.columns;
    for_elements(m, [&](size_t element, int64_t row, int64_t column) {
      out[element] = (*flags)[size_t(row / t.rows * across + column / t.columns)];
    });
  } else if (code.runs()) {
    for_elements(m, [&](size_t element, int64_t row, int64_t column) {
      out[element] = (*flags)[size_t(row * m.columns + column)];
    });
  } else {
    std::copy(flags->begin(), flags->end(), out);
  }
  return mask;
}

}  // namespace pare
