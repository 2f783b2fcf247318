#include "core/container.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "core/json.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pare {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

constexpr const char* hash_key = "header_xxh3";
constexpr const char* checksums_key = "tensor_xxh3";
constexpr const char* version_key = "pare_version";
constexpr size_t hash_digits = 16;
constexpr uint64_t alignment = 64;

struct DTypeName {
  DType dtype;
  const char* name;
};
constexpr DTypeName dtype_names[] = {{DType::f32, "F32"}, {DType::f64, "F64"}, {DType::i32, "I32"},
                                     {DType::i64, "I64"}, {DType::i8, "I8"},   {DType::u8, "U8"}};

std::string hex(uint64_t value) {
  std::string digits(hash_digits, '0');
  for (size_t i = hash_digits; i-- > 0; value >>= 4) digits[i] = "0123456789abcdef"[value & 15];
  return digits;
}

bool parse_hex(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; }))
    return false;
  return text.size() == hash_digits && error == std::errc() && end == text.data() + text.size();
}

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
std::span<const uint8_t> bytes_of(const Tensor& t) { return {t.data<uint8_t>(), t.bytes()}; }

uint64_t hash(std::span<const uint8_t> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

// Where the header's own hash stands in it; npos unless exactly once.
size_t find_hash(const std::string& header, const std::string& digits) {
  const std::string field = std::string("\"") + hash_key + "\":\"" + digits + "\"";
  const size_t at = header.find(field);
  if (at == std::string::npos || header.find(field, at + 1) != std::string::npos)
    return std::string::npos;
  return at + field.size() - 1 - hash_digits;
}

}  // namespace

void ContainerWriter::add(const std::string& name, const Tensor& tensor) {
  check(name != "__metadata__" && tensors_.emplace(name, tensor.to(Device{}).plain()).second,
        "container: a tensor named '{}' cannot be added (twice)", name);
}

void ContainerWriter::set_metadata(const std::string& key, const std::string& value) {
  metadata_[key] = value;
}

ContainerWriter::Layout ContainerWriter::lay_out(const std::string& path) const {
  // Wide elements first, so that every tensor is aligned without gaps.
  std::vector<std::pair<const std::string*, const Tensor*>> order;
  for (const auto& [name, tensor] : tensors_) order.emplace_back(&name, &tensor);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    const size_t x = size_of(a.second->dtype()), y = size_of(b.second->dtype());
    return x != y ? x > y : *a.first < *b.first;
  });
  std::string checksums;
  for (const auto& [name, tensor] : order) checksums += hex(hash(bytes_of(*tensor)));

  Json header;
  Json& metadata = header["__metadata__"] = Json::object();
  metadata[version_key] = std::to_string(container_version);
  metadata[hash_key] = std::string(hash_digits, '0');
  metadata[checksums_key] = checksums;
  for (const auto& [key, value] : metadata_) metadata[key] = value;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : order) {
    const auto* dtype = std::find_if(std::begin(dtype_names), std::end(dtype_names),
                                     [&](const auto& d) { return d.dtype == tensor->dtype(); });
    Json& entry = header[*name];
    entry["dtype"] = dtype->name;
    entry["shape"] = std::vector<int64_t>(tensor->shape().begin(), tensor->shape().end());
    entry["data_offsets"] = {offset, offset + tensor->bytes()};
    offset += tensor->bytes();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::usage, "{}: a name or text in the model is not UTF-8: {}", path, e.what());
  }
  text.append((alignment - (8 + text.size()) % alignment) % alignment, ' ');
  check(text.size() <= max_container_header, ErrorCode::bad_input,
        "{}: the header takes {} bytes, at most {}", path, text.size(), max_container_header);
  const size_t at = find_hash(text, std::string(hash_digits, '0'));
  check(at != std::string::npos, "{}: a name or text of the model looks like the header's hash",
        path);
  text.replace(at, hash_digits, hex(hash(bytes_of(text))));

  Layout layout{std::move(text), {}};
  for (const auto& [name, tensor] : order) layout.order.push_back(tensor);
  return layout;
}

void ContainerWriter::write(const std::string& path) const {
  const Layout layout = lay_out(path);
  const auto length = std::bit_cast<std::array<uint8_t, 8>>(uint64_t(layout.header.size()));
  std::vector<std::span<const uint8_t>> parts{length, bytes_of(layout.header)};
  for (const Tensor* tensor : layout.order) parts.push_back(bytes_of(*tensor));
  write_file_atomically(path, parts);
}

uint64_t ContainerWriter::file_bytes() const {
  const Layout layout = lay_out("the model");
  uint64_t bytes = 8 + layout.header.size();
  for (const Tensor* tensor : layout.order) bytes += tensor->bytes();
  return bytes;
}

// Receives the header's JSON token by token and allows exactly what the format has:
// {name: {dtype, shape, data_offsets}, "__metadata__": {key: text}}.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(Container& container) : c_(container) {}

  bool start_object(size_t) override {
    need(depth_ == 0 || (depth_ == 1 && !name_.empty()), "an object out of place");
    ++depth_;
    if (depth_ == 2 && !in_metadata()) {
      entry_ = {};
      extents_.clear();
      offsets_.clear();
      fields_ = 0;
    }
    return true;
  }
  bool key(std::string& text) override {
    if (depth_ == 1) {
      need(!text.empty(), "a tensor without a name");
      need(text == "__metadata__" ? !std::exchange(seen_metadata_, true)
                                  : !c_.entries_.contains(text),
           "'" + text + "' twice");
      name_ = std::move(text);
    } else if (in_metadata()) {
      need(!c_.metadata_.contains(text), "'" + text + "' twice");
      key_ = std::move(text);
    } else {
      field_ = text == "dtype"          ? dtype
               : text == "shape"        ? shape
               : text == "data_offsets" ? offsets
                                        : 0;
      need(field_ != 0 && !(fields_ & field_), "the unexpected key '" + text + "'");
      fields_ |= field_;
    }
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && !in_metadata()) add_entry();
    --depth_;
    return true;
  }
  bool string(std::string& text) override {
    if (depth_ == 2 && in_metadata()) {
      c_.metadata_[key_] = std::move(text);
      return true;
    }
    need(depth_ == 2 && field_ == dtype, "a text out of place");
    const auto* known = std::find_if(std::begin(dtype_names), std::end(dtype_names),
                                     [&](const auto& d) { return d.name == text; });
    need(known != std::end(dtype_names),
         "the element type '" + text + "', which pare does not read");
    entry_.dtype = known->dtype;
    return true;
  }
  bool start_array(size_t) override {
    need(depth_ == 2 && !in_metadata() && field_ != dtype && !in_array_, "a list out of place");
    in_array_ = true;
    return true;
  }
  bool end_array() override {
    in_array_ = false;
    return true;
  }
  bool number_unsigned(uint64_t value) override {
    need(in_array_, "a number out of place");
    auto& list = field_ == shape ? extents_ : offsets_;
    need(list.size() < size_t(Shape::max_rank), "a list that is too long");
    list.push_back(value);
    return true;
  }
  bool null() override {
    need(false, "a null");
    return false;
  }
  bool boolean(bool) override {
    need(false, "a boolean");
    return false;
  }
  bool number_integer(int64_t) override {
    need(false, "a negative number");
    return false;
  }
  bool number_float(double, const std::string&) override {
    need(false, "a fraction");
    return false;
  }
  bool binary(nlohmann::json::binary_t&) override {
    need(false, "binary data");
    return false;
  }
  bool parse_error(size_t at, const std::string&, const nlohmann::detail::exception&) override {
    need(false, "no valid JSON at byte " + std::to_string(at));
    return false;
  }

 private:
  enum Field { dtype = 1, shape = 2, offsets = 4 };
  bool in_metadata() const { return depth_ == 2 && name_ == "__metadata__"; }
  void need(bool condition, const std::string& found) const {
    check(condition, ErrorCode::bad_input, "{}: the header holds {}", c_.name(), found);
  }
  void add_entry() {
    need(fields_ == (dtype | shape | offsets) && offsets_.size() == 2,
         "an incomplete description of '" + name_ + "'");
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    const uint64_t available = c_.source_->size() - c_.data_begin_;
    need(entry_.begin <= entry_.end && entry_.end <= available,
         message("bytes {}..{} for '{}', but only {} bytes of data follow", entry_.begin,
                 entry_.end, name_, available));
    uint64_t elements = 1;
    for (const uint64_t extent : extents_) {
      need(extent <= uint64_t(INT64_MAX) && !__builtin_mul_overflow(elements, extent, &elements),
           "a shape too large for '" + name_ + "'");
      entry_.shape.push_back(int64_t(extent));
    }
    uint64_t bytes = 0;
    need(!__builtin_mul_overflow(elements, size_of(entry_.dtype), &bytes) &&
             bytes == entry_.end - entry_.begin,
         message("{} bytes for '{}', whose shape {} of {} needs others", entry_.end - entry_.begin,
                 name_, entry_.shape, entry_.dtype));
    c_.entries_[name_] = entry_;
  }

  Container& c_;
  int depth_ = 0;
  bool in_array_ = false, seen_metadata_ = false;
  std::string name_, key_;
  int field_ = 0, fields_ = 0;
  Container::Entry entry_;
  std::vector<uint64_t> extents_, offsets_;
};

Container::Container(const std::string& path) : Container(open_file(path)) {}

Container::Container(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {
  const auto need = [&](bool ok, std::string_view what, const auto&... args) {
    if (!ok) fail(ErrorCode::bad_input, "{}: not a model file: {}", name(), message(what, args...));
  };
  need(source_->size() >= 8, "{} bytes", source_->size());
  std::array<uint8_t, 8> raw{};
  source_->read(0, raw);
  const uint64_t length = std::bit_cast<uint64_t>(raw);
  need(length <= max_container_header && length <= source_->size() - 8,
       "a header of {} bytes in a file of {} (at most {})", length, source_->size(),
       max_container_header);
  std::string header(length, '\0');
  source_->read(8, {reinterpret_cast<uint8_t*>(header.data()), header.size()});
  need(!header.empty() && header[0] == '{', "the header does not begin with '{'");
  data_begin_ = 8 + length;
  HeaderReader reader(*this);
  nlohmann::json::sax_parse(header, &reader);
  // Any of the three keys marks a file of ours, which then must have them all.
  if (has_metadata(version_key) || has_metadata(hash_key) || has_metadata(checksums_key)) {
    const std::string version = metadata(version_key);
    int number = 0;
    const auto parsed = std::from_chars(version.data(), version.data() + version.size(), number);
    need(parsed.ec == std::errc() && parsed.ptr == version.data() + version.size() && number >= 1,
         "the version '{}'", version);
    check(number <= container_version, ErrorCode::bad_input,
          "{}: written in version {} of the format; this program reads up to {}: use a newer pare",
          name(), number, container_version);
    check_header_hash(std::move(header));
  }
  check_layout();
}

void Container::check_header_hash(std::string header) const {
  const std::string digits = metadata(hash_key);
  uint64_t expected = 0;
  const size_t at = parse_hex(digits, expected) ? find_hash(header, digits) : std::string::npos;
  check(at != std::string::npos, ErrorCode::bad_input, "{}: the header's hash is missing", name());
  header.replace(at, hash_digits, std::string(hash_digits, '0'));
  const uint64_t found = hash(bytes_of(header));
  check(found == expected, ErrorCode::bad_input,
        "{}: the header is damaged: its hash is {}, expected {}", name(), hex(found), digits);
}

// Tensors follow each other without gaps or overlaps and fill the file; checksums, where the file
// has them, stand in that order.
void Container::check_layout() {
  std::vector<std::pair<const std::string*, Entry*>> order;
  for (auto& [key, entry] : entries_) order.emplace_back(&key, &entry);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  uint64_t at = 0;
  for (const auto& [key, entry] : order) {
    check(entry->begin == at, ErrorCode::bad_input,
          "{}: '{}' begins at byte {} of the data, expected {}: gap or overlap", name(), *key,
          entry->begin, at);
    at = entry->end;
  }
  const uint64_t available = source_->size() - data_begin_;
  check(at == available, ErrorCode::bad_input,
        "{}: {} bytes of data, the header describes {}: the file was cut or something was added",
        name(), available, at);
  if (!has_metadata(checksums_key)) {
    check(!has_metadata(version_key), ErrorCode::bad_input, "{}: the checksums are missing",
          name());
    return;
  }
  const std::string all = metadata(checksums_key);
  check(all.size() == hash_digits * order.size(), ErrorCode::bad_input,
        "{}: {} digits of checksums for {} tensors", name(), all.size(), order.size());
  for (size_t i = 0; i < order.size(); ++i)
    check(parse_hex(std::string_view(all).substr(i * hash_digits, hash_digits),
                    order[i].second->checksum),
          ErrorCode::bad_input, "{}: a checksum is no number", name());
  checksums_ = true;
}

std::vector<std::string> Container::names() const {
  std::vector<std::string> list;
  for (const auto& [key, entry] : entries_) list.push_back(key);
  return list;
}

Tensor Container::tensor(const std::string& key) const {
  const auto it = entries_.find(key);
  check(it != entries_.end(), ErrorCode::bad_input, "{}: holds no tensor named '{}'", name(), key);
  const Entry& e = it->second;
  const Tensor t = Tensor::empty(e.shape, e.dtype);
  const std::span<uint8_t> bytes(t.data<uint8_t>(), t.bytes());
  source_->read(data_begin_ + e.begin, bytes);
  check(!checksums_ || hash(bytes) == e.checksum, ErrorCode::bad_input,
        "{}: the tensor '{}' is damaged: its checksum does not match", name(), key);
  return t;
}

std::string Container::metadata(const std::string& key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? std::string() : it->second;
}

}  // namespace pare
