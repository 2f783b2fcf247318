// Shared libraries loaded at run time: plug-ins, BLAS.
#pragma once

#include <string>

namespace pare {

// What dlopen gives for a path, or for a name it looks up, all symbols resolved and kept local;
// null where it cannot be loaded, with the reason in `why`. A file shorter than what it says to map
// is refused beforehand: the system would kill the process where it touches what is missing.
void* open_shared_library(const std::string& library, std::string& why);

}  // namespace pare
