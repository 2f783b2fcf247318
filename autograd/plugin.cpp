#include "autograd/plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <mutex>
#include <set>

#include "core/attrs.h"
#include "core/error.h"
#include "core/file_io.h"
#include "core/shared_library.h"

namespace pare {
namespace {

thread_local const char* registering = "";

struct RegisteringScope {
  explicit RegisteringScope(const std::string& name) { registering = intern(name); }
  ~RegisteringScope() { registering = ""; }
};

}  // namespace

const char* registering_plugin() { return registering; }

void load_plugin(const std::string& path) {
  static std::mutex mutex;
  static std::set<void*> loaded;
  const std::lock_guard lock(mutex);
  // A name without a slash would be looked for in the system's folders alone.
  const std::filesystem::path file = std::filesystem::absolute(path);
  open_file(path);  // says what is wrong with it
  std::string why;
  void* library = open_shared_library(file.string(), why);
  check(library != nullptr, ErrorCode::bad_input, "{}: cannot be loaded: {}", path, why);
  const auto enter =
      reinterpret_cast<decltype(&pare_register_plugin)>(::dlsym(library, "pare_register_plugin"));
  if (!enter) {
    ::dlclose(library);
    fail(ErrorCode::bad_input, "{}: no plug-in of pare: it exports no pare_register_plugin", path);
  }
  if (!loaded.insert(library).second) return;
  const RegisteringScope scope(file.filename().string());
  enter();
}

}  // namespace pare
