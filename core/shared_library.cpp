#include "core/shared_library.h"

#include <dlfcn.h>
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/file_io.h"

namespace pare {
namespace {

// Bytes that the loader maps; 0 where the file does not begin as a library of 64 bits, of which the
// loader says more.
uint64_t mapped_bytes(const ByteSource& file) {
  const auto read = [&](uint64_t at, void* to, size_t bytes) {
    if (at > file.size() || bytes > file.size() - at) return false;
    file.read(at, {static_cast<uint8_t*>(to), bytes});
    return true;
  };
  Elf64_Ehdr header{};
  if (!read(0, &header, sizeof header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr))
    return 0;
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  const size_t bytes = segments.size() * sizeof(Elf64_Phdr);
  uint64_t end = header.e_phoff + bytes;
  if (!read(header.e_phoff, segments.data(), bytes)) return end;
  for (const Elf64_Phdr& s : segments)
    if (s.p_type == PT_LOAD) end = std::max(end, s.p_offset + s.p_filesz);
  return end;
}

// Why the file cannot be a library; "" where the loader may try.
std::string refusal(const std::string& library) {
  try {
    const auto file = open_file(library);
    const uint64_t mapped = mapped_bytes(*file);
    if (mapped <= file->size()) return {};
    return message("the file was cut: {} bytes of at least {}", file->size(), mapped);
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

void* open_shared_library(const std::string& library, std::string& why) {
  const auto without_name = [&](std::string text) {
    return text.starts_with(library + ": ") ? text.substr(library.size() + 2) : text;
  };
  if (library.find('/') != std::string::npos)
    if (why = without_name(refusal(library)); !why.empty()) return nullptr;
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle) return handle;
  why = without_name(::dlerror());
  return nullptr;
}

}  // namespace pare
