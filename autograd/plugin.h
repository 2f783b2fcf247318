// Plug-ins: shared libraries that register ops the program was not built with.
//
// A plug-in exports pare_register_plugin, which calls register_op and register_kernel, and is
// linked against the CMake target pare::plugin (headers alone: it uses the program's own copy of
// the library). Files whose graphs use its ops name it.
#pragma once

#include <string>

extern "C" void pare_register_plugin();

namespace pare {

// Loads the library at `path` and lets it register its ops; loading one twice does nothing. Throws
// Error{bad_input} where it cannot be loaded or is no plug-in.
void load_plugin(const std::string& path);

// The file name of the plug-in that is registering ops on this thread; "" outside load_plugin.
const char* registering_plugin();

}  // namespace pare
