// Masks that keep N of every M columns, as the numbers of patterns.
//
// A run that keeps elements c_1 < c_2 < ... has the number C(c_1, 1) + C(c_2, 2) + ... among the
// C(M, N) patterns (the combinatorial number system: Knuth, The Art of Computer
// Programming 7.2.1.3). Numbers are the digits, lowest first, of little-endian words of 8 bytes,
// each of as many digits to the base C(M, N) as fit: 24 runs of 2:4, or 2.67 bits a run, where log2
// 6 is 2.58.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace pare {

constexpr int longest_run = 32;

struct RunCode {
  int keep = 0, of = 0;   // 0 < keep < of <= longest_run
  int64_t rows, columns;  // of the mask
  int64_t bytes() const;  // of all its patterns
};

// What the mask, of 0 and 1, row by row, keeps of every run, with the least M; nothing where there
// is no such M.
std::optional<RunCode> find_runs(const std::vector<uint8_t>& mask, int64_t rows, int64_t columns);
std::vector<uint8_t> encode_runs(const std::vector<uint8_t>& mask, const RunCode& code);
// Nothing where there are other than code.bytes() bytes, or numbers without a pattern.
std::optional<std::vector<uint8_t>> decode_runs(const uint8_t* bytes, int64_t count,
                                                const RunCode& code);

}  // namespace pare
