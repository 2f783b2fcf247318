#include "autograd/run_code.h"

#include <algorithm>
#include <array>

namespace pare {
namespace {

constexpr auto binomials = [] {
  std::array<std::array<uint64_t, longest_run + 1>, longest_run + 1> c{};
  for (size_t n = 0; n <= longest_run; ++n) {
    c[n][0] = 1;
    for (size_t k = 1; k <= n; ++k) c[n][k] = c[n - 1][k - 1] + c[n - 1][k];
  }
  return c;
}();

// How many digits to this base 64 bits hold.
int64_t digits_a_word(uint64_t base) {
  int64_t digits = 0;
  for (uint64_t room = UINT64_MAX; room >= base - 1; room = (room - (base - 1)) / base) ++digits;
  return digits;
}

uint64_t patterns(const RunCode& code) { return binomials[size_t(code.of)][size_t(code.keep)]; }

// Whether f(first element, length, how many are kept) holds for all runs.
template <class F>
bool all_runs(const RunCode& code, F&& f) {
  for (int64_t r = 0; r < code.rows; ++r)
    for (int64_t c = 0; c < code.columns; c += code.of) {
      const int64_t length = std::min<int64_t>(code.of, code.columns - c);
      if (!f(r * code.columns + c, length, (length * code.keep + code.of - 1) / code.of))
        return false;
    }
  return true;
}

uint64_t number_of(const uint8_t* run, int64_t length) {
  uint64_t number = 0;
  size_t kept = 0;
  for (int64_t i = 0; i < length; ++i)
    if (run[i]) number += binomials[size_t(i)][++kept];
  return number;
}

// The pattern of that number; false where there is none.
bool set_pattern(uint64_t number, uint8_t* run, int64_t length, int64_t keep) {
  for (int64_t i = length; i-- > 0 && keep > 0;) {
    const uint64_t below = binomials[size_t(i)][size_t(keep)];
    if (number < below) continue;
    number -= below;
    run[i] = 1;
    --keep;
  }
  return number == 0;
}

}  // namespace

int64_t RunCode::bytes() const {
  const int64_t runs = rows * ((columns + of - 1) / of), digits = digits_a_word(patterns(*this));
  return (runs + digits - 1) / digits * 8;
}

std::optional<RunCode> find_runs(const std::vector<uint8_t>& mask, int64_t rows, int64_t columns) {
  for (int of = 2; of <= std::min<int64_t>(longest_run, columns) && rows > 0; ++of) {
    const auto keep = int(std::count(mask.begin(), mask.begin() + of, uint8_t(1)));
    if (keep == 0 || keep == of) continue;
    const RunCode code{keep, of, rows, columns};
    if (all_runs(code, [&](int64_t at, int64_t length, int64_t kept) {
          return std::count(mask.begin() + at, mask.begin() + at + length, uint8_t(1)) == kept;
        }))
      return code;
  }
  return std::nullopt;
}

std::vector<uint8_t> encode_runs(const std::vector<uint8_t>& mask, const RunCode& code) {
  const uint64_t base = patterns(code);
  const int64_t digits = digits_a_word(base);
  std::vector<uint64_t> words(size_t(code.bytes() / 8));
  int64_t run = 0;
  uint64_t unit = 1;
  all_runs(code, [&](int64_t at, int64_t length, int64_t) {
    if (run % digits == 0) unit = 1;
    words[size_t(run++ / digits)] += unit * number_of(mask.data() + at, length);
    unit *= base;
    return true;
  });
  std::vector<uint8_t> bytes;
  for (const uint64_t word : words)
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(uint8_t(word >> shift));
  return bytes;
}

std::optional<std::vector<uint8_t>> decode_runs(const uint8_t* bytes, int64_t count,
                                                const RunCode& code) {
  if (count != code.bytes()) return std::nullopt;
  const uint64_t base = patterns(code);
  const int64_t digits = digits_a_word(base);
  std::vector<uint8_t> mask(size_t(code.rows * code.columns));
  int64_t run = 0;
  uint64_t word = 0;
  const bool sound = all_runs(code, [&](int64_t at, int64_t length, int64_t kept) {
    if (run++ % digits == 0) {
      if (word != 0) return false;
      for (int shift = 0; shift < 64; shift += 8) word |= uint64_t(*bytes++) << shift;
    }
    const uint64_t number = word % base;
    word /= base;
    return set_pattern(number, mask.data() + at, length, kept);
  });
  if (!sound || word != 0) return std::nullopt;
  return mask;
}

}  // namespace pare
