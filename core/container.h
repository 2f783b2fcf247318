// A file of named tensors and texts, readable by every safetensors library: eight bytes of header
// length, a JSON header, then the tensors' bytes without gaps (docs/model-file.md).
//
// Beyond safetensors, files written here carry in their metadata a checksum (XXH3-64) per tensor
// and one over the header. Nothing is allocated that the file's own size does not bear out.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/file_io.h"
#include "core/tensor.h"

namespace pare {

constexpr int container_version = 1;
constexpr uint64_t max_container_header = uint64_t(16) << 20;

class ContainerWriter {
 public:
  // Adds a tensor (converted to plain, on the CPU). A name that stands already is Error{usage}.
  void add(const std::string& name, const Tensor& tensor);
  void set_metadata(const std::string& key, const std::string& value);
  // Writes atomically (write_file_atomically). The same content gives the same bytes.
  void write(const std::string& path) const;
  uint64_t file_bytes() const;  // that write() takes

 private:
  struct Layout {
    std::string header;
    std::vector<const Tensor*> order;
  };
  Layout lay_out(const std::string& path) const;  // the path is for messages

  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

class Container {
 public:
  // Reads and checks the header. Throws Error{bad_input} naming the file, what was found and what
  // was expected; also for files of a newer version.
  explicit Container(const std::string& path);
  explicit Container(std::unique_ptr<ByteSource> source);

  const std::string& name() const { return source_->name(); }
  uint64_t file_bytes() const { return source_->size(); }
  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return entries_.contains(name); }
  // Reads a tensor and verifies its checksum. Throws Error{bad_input} where it is absent or
  // damaged.
  Tensor tensor(const std::string& name) const;
  bool has_metadata(const std::string& key) const { return metadata_.contains(key); }
  std::string metadata(const std::string& key) const;  // "" when absent

 private:
  friend class HeaderReader;
  struct Entry {
    DType dtype = DType::f32;
    Shape shape;
    uint64_t begin = 0, end = 0;  // from the start of the data
    uint64_t checksum = 0;
  };
  void check_layout();
  void check_header_hash(std::string header) const;

  std::unique_ptr<ByteSource> source_;
  uint64_t data_begin_ = 0;
  bool checksums_ = false;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace pare
