#include "core/shared_library.h"

#include <dlfcn.h>
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <vector>

#include "core/error.h"

namespace pare {
namespace {

// Bytes that the loader maps; 0 where the file does not begin as a library of 64 bits, of which the
// loader says more.
uint64_t mapped_bytes(std::ifstream& file) {
  Elf64_Ehdr header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_phentsize != sizeof(Elf64_Phdr))
    return 0;
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  const size_t bytes = segments.size() * sizeof(Elf64_Phdr);
  uint64_t end = header.e_phoff + bytes;
  if (!file.seekg(std::streamoff(header.e_phoff)) ||
      !file.read(reinterpret_cast<char*>(segments.data()), std::streamsize(bytes)))
    return end;
  for (const Elf64_Phdr& s : segments)
    if (s.p_type == PT_LOAD) end = std::max(end, s.p_offset + s.p_filesz);
  return end;
}

}  // namespace

void* open_shared_library(const std::string& library, std::string& why) {
  if (library.find('/') != std::string::npos)
    if (std::ifstream file(library, std::ios::binary); file) {
      const uint64_t mapped = mapped_bytes(file);
      file.clear();
      const auto size = uint64_t(file.seekg(0, std::ios::end).tellg());
      if (mapped > size) {
        why = message("the file was cut: {} bytes of at least {}", size, mapped);
        return nullptr;
      }
    }
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle) return handle;
  why = ::dlerror();
  if (why.starts_with(library + ": ")) why.erase(0, library.size() + 2);
  return nullptr;
}

}  // namespace pare
