#include "core/device.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "core/backend.h"

namespace pare {
namespace {

namespace fs = std::filesystem;

constexpr std::array types{DeviceType::cpu, DeviceType::cuda, DeviceType::cuda_emulated};

std::string library_name(DeviceType type) {
  return type == DeviceType::cuda ? "libpare_cuda.so" : "libpare_cuda_emulated.so";
}

std::vector<fs::path> plugin_folders() {
  std::vector<fs::path> folders;
  if (const char* list = std::getenv("PARE_PLUGIN_PATH"))
    for (std::string_view rest = list; !rest.empty();) {
      const size_t end = std::min(rest.find(':'), rest.size());
      if (end > 0) folders.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  Dl_info info;
  std::error_code none;
  if (::dladdr(reinterpret_cast<void*>(&plugin_folders), &info)) {
    // For the program itself dladdr gives the name it was started by, which need not be a path.
    const fs::path self = fs::exists(info.dli_fname, none)
                              ? fs::canonical(info.dli_fname, none)
                              : fs::read_symlink("/proc/self/exe", none);
    const fs::path here = self.parent_path();
    for (const char* beside : {".", "../lib", "../../lib", "../" PARE_LIBDIR})
      folders.push_back((here / beside).lexically_normal());
  }
  return folders;
}

// Registers the plug-in's backend; otherwise returns why there is none.
std::string load_backend(DeviceType type) {
  const std::string name = library_name(type);
  std::error_code none;
  for (const fs::path& folder : plugin_folders()) {
    const fs::path file = folder / name;
    if (!fs::is_regular_file(file, none)) continue;
    void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) return message("{} cannot be loaded: {}", file.string(), ::dlerror());
    const auto enter = reinterpret_cast<BackendEntry>(::dlsym(library, "pare_backend"));
    if (!enter)
      return message("{} is no plug-in of pare: it exports no pare_backend", file.string());
    char why[error_length] = "";
    const Backend* backend = enter(why);
    if (!backend) return why;
    if (backend->abi != backend_abi)
      return message("{} speaks contract {}, this program {}; build both from one version",
                     file.string(), backend->abi, backend_abi);
    register_backend(type, *backend);
    return {};
  }
  if (type == DeviceType::cuda)
    return message(
        "{} was not found; build pare where the CUDA toolkit is installed, or name its folder in "
        "PARE_PLUGIN_PATH",
        name);
  return message(
      "{} was not found; build with PARE_EMULATION=ON, or name its folder in "
      "PARE_PLUGIN_PATH",
      name);
}

std::string describe(const DeviceProperties& p) {
  std::string text = p.name;
  const auto version = [](int capability) {
    return message("{}.{}", capability / 10, capability % 10);
  };
  if (p.gpu_capability)
    text += message(", compute capability {}{}, {} multiprocessors", version(p.gpu_capability),
                    p.capability < p.gpu_capability
                        ? message(" (its kernels are compiled for {})", version(p.capability))
                        : "",
                    p.multiprocessors);
  if (p.memory_bytes) text += message(", {} GB", double(p.memory_bytes / 100000000) / 10);
  if (p.products[0]) text += message(", matrix products by {}", p.products);
  return text;
}

}  // namespace

const DeviceState& probe_device(DeviceType type) {
  static std::once_flag probed[types.size()];
  static std::array<DeviceState, types.size()> states;
  DeviceState& state = states[size_t(type)];
  std::call_once(probed[size_t(type)], [&] {
    state.device = {type, 0};
    if (type != DeviceType::cpu) state.description = load_backend(type);
    state.present = state.description.empty();
    if (type == DeviceType::cpu)
      state.description = "built in";
    else if (state.present)
      state.description = describe(backend_of(state.device).properties);
  });
  return state;
}

std::vector<DeviceState> list_devices() {
  std::vector<DeviceState> all;
  for (const DeviceType type : types) all.push_back(probe_device(type));
  return all;
}

Device select_device(std::string_view name, std::string* reason) {
  const auto choose = [&](DeviceType type, const std::string& why) {
    if (reason)
      *reason = why.empty() ? to_string(Device{type}) : message("{} ({})", Device{type}, why);
    return Device{type};
  };
  if (name == "auto") {
    const DeviceState& cuda = probe_device(DeviceType::cuda);
    if (cuda.present) return choose(DeviceType::cuda, cuda.description);
    return choose(DeviceType::cpu, "no CUDA: " + cuda.description);
  }
  for (const DeviceType type : types) {
    if (name != to_string(Device{type})) continue;
    const DeviceState& state = probe_device(type);
    check(state.present, ErrorCode::device, "device {} cannot be used: {}", name,
          state.description);
    return choose(type, type == DeviceType::cpu ? "" : state.description);
  }
  static constexpr std::string_view known[] = {"auto", "cpu", "cuda", "cuda-emulated"};
  fail(ErrorCode::usage, "device '{}' is unknown{}", name, suggest(name, known, std::size(known)));
}

}  // namespace pare
