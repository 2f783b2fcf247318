#include "datasets/npy.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "datasets/gzip.h"

namespace pare {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

// A reader of the header, a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape':
// (60000, 28, 28), }.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : rest_(text), name_(name) {}

  void parse(NpyArray& array) {
    token("{");
    bool descr = false, order = false, shape = false;
    while (!accept("}")) {
      const std::string key = quoted();
      token(":");
      if (key == "descr") {
        set_type(array, quoted());
        descr = true;
      } else if (key == "fortran_order") {
        array.fortran = accept("True");
        if (!array.fortran) token("False");
        order = true;
      } else if (key == "shape") {
        array.shape = extents();
        shape = true;
      } else {
        expect(false, name_, "unknown key '{}' in the .npy header", key);
      }
      if (!accept(",")) {
        token("}");
        break;
      }
    }
    skip();
    expect(rest_.empty() && descr && order && shape, name_,
           "the .npy header is not a dictionary of descr, fortran_order and shape");
  }

 private:
  void skip() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool accept(std::string_view word) {
    skip();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  void token(std::string_view word) {
    expect(accept(word), name_, "damaged .npy header: expected '{}' before '{}'", word,
           rest_.substr(0, 20));
  }
  std::string quoted() {
    skip();
    const char quote = rest_.empty() ? ' ' : rest_[0];
    const size_t end = rest_.size() > 1 ? rest_.find(quote, 1) : rest_.npos;
    expect((quote == '\'' || quote == '"') && end != rest_.npos, name_,
           "damaged .npy header: expected a quoted word (arrays of records are not read)");
    const std::string word(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return word;
  }
  Shape extents() {
    Shape shape;
    token("(");
    while (!accept(")")) {
      skip();
      int64_t extent = 0;
      size_t digits = 0;
      for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits)
        if (digits < 12) extent = extent * 10 + (rest_[digits] - '0');
      expect(digits > 0 && digits <= 12, name_, "damaged .npy header: the shape holds no numbers");
      expect(shape.rank() < Shape::max_rank, name_, "more than {} axes", Shape::max_rank);
      shape.push_back(extent);
      rest_.remove_prefix(digits);
      if (!accept(",")) {
        token(")");
        break;
      }
    }
    return shape;
  }
  void set_type(NpyArray& array, const std::string& descr) {
    constexpr std::string_view known[] = {"u1", "u2", "u4", "u8", "i1", "i2",
                                          "i4", "i8", "f4", "f8", "b1"};
    const bool marked = descr.size() == 3 && std::string_view("<>|=").find(descr[0]) < 4;
    const std::string type = marked ? descr.substr(1) : "";
    expect(std::find(std::begin(known), std::end(known), type) != std::end(known), name_,
           "elements of type '{}', expected integers, f4 or f8", descr);
    array.kind = type[0] == 'b' ? 'u' : type[0];
    array.item_bytes = type[1] - '0';
    array.big_endian = descr[0] == '>';
  }

  std::string_view rest_;
  const std::string& name_;
};

template <class T>
double element(const uint8_t* from, bool big_endian) {
  uint8_t bytes[sizeof(T)];
  std::memcpy(bytes, from, sizeof(T));
  if (big_endian != (std::endian::native == std::endian::big))
    std::reverse(std::begin(bytes), std::end(bytes));
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return double(value);
}

}  // namespace

NpyArray parse_npy(std::vector<uint8_t> bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  expect(text.starts_with(magic) && bytes.size() >= 10, name, "not a .npy array");
  const int major = bytes[6];
  expect(major >= 1 && major <= 3, name, ".npy version {}, expected 1 to 3", major);
  const size_t length_bytes = major == 1 ? 2 : 4;
  size_t length = 0;
  for (size_t i = 0; i < length_bytes && 8 + i < bytes.size(); ++i)
    length |= size_t(bytes[8 + i]) << (8 * i);
  const size_t begin = 8 + length_bytes;
  expect(begin <= bytes.size() && length <= bytes.size() - begin && length <= 65536, name,
         "the .npy header of {} bytes does not fit", length);
  NpyArray array;
  HeaderParser(text.substr(begin, length), name).parse(array);
  array.data_offset = begin + length;
  double wanted = array.item_bytes;  // a double cannot overflow
  for (const int64_t extent : array.shape) wanted *= double(extent);
  expect(wanted == double(bytes.size() - array.data_offset), name,
         "{} bytes of elements, the shape {} needs {}", bytes.size() - array.data_offset,
         array.shape, wanted);
  array.bytes = std::move(bytes);
  return array;
}

double NpyArray::at(int64_t i) const {
  if (fortran) {
    int64_t rest = i, place = 0;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      int64_t stride = 1;
      for (int k = 0; k < axis; ++k) stride *= shape[k];
      place += rest % shape[axis] * stride;
      rest /= shape[axis];
    }
    i = place;
  }
  const uint8_t* from = bytes.data() + data_offset + size_t(i) * size_t(item_bytes);
  if (kind == 'f')
    return item_bytes == 4 ? element<float>(from, big_endian) : element<double>(from, big_endian);
  const bool sign = kind == 'i';
  switch (item_bytes) {
    case 1:
      return sign ? element<int8_t>(from, false) : element<uint8_t>(from, false);
    case 2:
      return sign ? element<int16_t>(from, big_endian) : element<uint16_t>(from, big_endian);
    case 4:
      return sign ? element<int32_t>(from, big_endian) : element<uint32_t>(from, big_endian);
    default:
      return sign ? element<int64_t>(from, big_endian) : element<uint64_t>(from, big_endian);
  }
}

}  // namespace pare
