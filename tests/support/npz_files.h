// NumPy archives in memory: .npy arrays and zip files, written for tests.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "datasets/dataset.h"

namespace pare::testing {

inline std::string little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += char(value >> (8 * i) & 255);
  return out;
}

inline std::string npy(const std::string& descr, const std::string& shape, const std::string& data,
                       bool fortran = false, int version = 1) {
  std::string header = "{'descr': '" + descr +
                       "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': (" +
                       shape + "), }";
  header += std::string(63 - (header.size() + 10) % 64, ' ') + "\n";
  return std::string("\x93NUMPY") + char(version) + '\0' +
         little(header.size(), version == 1 ? 2 : 4) + header + data;
}

inline std::string deflated(const std::string& plain) {
  std::string out(plain.size() + 100, '\0');
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  z.avail_in = uInt(plain.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = uInt(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

struct Members : std::vector<std::pair<std::string, std::string>> {
  using vector::vector;
};

// A zip archive; `wide` writes sizes and offsets in zip64 fields.
inline std::vector<uint8_t> zip(const Members& members, bool deflate, bool wide = false) {
  std::string out, directory;
  for (const auto& [name, plain] : members) {
    const std::string data = deflate ? deflated(plain) : plain;
    const uint64_t crc = crc32(0, reinterpret_cast<const Bytef*>(plain.data()), uInt(plain.size()));
    const std::string common = little(20, 2) + little(0, 2) + little(deflate ? 8 : 0, 2) +
                               little(0, 4) + little(crc, 4) +
                               little(wide ? 0xFFFFFFFF : data.size(), 4) +
                               little(wide ? 0xFFFFFFFF : plain.size(), 4) + little(name.size(), 2);
    const std::string extra = wide ? little(1, 2) + little(24, 2) + little(plain.size(), 8) +
                                         little(data.size(), 8) + little(out.size(), 8)
                                   : "";
    directory += "PK\1\2" + little(20, 2) + common + little(extra.size(), 2) + little(0, 2) +
                 little(0, 4) + little(0, 4) + little(wide ? 0xFFFFFFFF : out.size(), 4) + name +
                 extra;
    out += "PK\3\4" + common + little(0, 2) + name + data;
  }
  const std::string end = little(members.size(), 2) + little(members.size(), 2) +
                          little(directory.size(), 4) + little(out.size(), 4) + little(0, 2);
  out += directory + "PK\5\6" + little(0, 4) + end;
  return {out.begin(), out.end()};
}

// A tensor (u8, f32 or i32) as an array of that shape, "4, 2, 3" say.
inline std::string npy_of(const Tensor& t, const std::string& shape) {
  const char* type = t.dtype() == DType::u8 ? "|u1" : t.dtype() == DType::f32 ? "<f4" : "<i4";
  return npy(type, shape, {static_cast<const char*>(t.raw()), t.bytes()});
}

inline std::vector<uint8_t> npz_of(const Examples& train, const Examples& test,
                                   const Members& more = {}) {
  Members m = more;
  const auto add = [&](const std::string& part, const Examples& e) {
    std::string shape;
    for (const int64_t n : e.images.shape()) shape += std::to_string(n) + ", ";
    m.emplace_back(part + "_images.npy", npy_of(e.images, shape));
    m.emplace_back(part + "_labels.npy", npy_of(e.labels, std::to_string(e.size()) + ","));
  };
  add("train", train);
  add("test", test);
  return zip(m, false);
}

// The examples with every element x become x * factor + offset, as floats.
inline Examples as_floats(const Examples& e, double factor, double offset = 0) {
  const Tensor x = Tensor::empty(e.images.shape());
  for (int64_t i = 0; i < x.elements(); ++i)
    x.data<float>()[i] = float(double(e.images.data<uint8_t>()[i]) * factor + offset);
  return {x, e.labels};
}

}  // namespace pare::testing
