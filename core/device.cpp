#include "core/device.h"

#include <dlfcn.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "core/backend.h"
#include "core/shared_library.h"

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

// What a plug-in may export besides as "pare_device_facts": calls tell(to, name, value) for each.
using TellFacts = void (*)(void (*tell)(void* to, const char* name, const char* value), void* to);
TellFacts tellers[types.size()] = {};
std::atomic<bool> was_probed[types.size()] = {};

// Registers the plug-in's backend; otherwise returns why there is none.
std::string load_backend(DeviceType type, std::string& plugin) {
  const std::string name = library_name(type);
  std::error_code none;
  for (const fs::path& folder : plugin_folders()) {
    const fs::path file = folder / name;
    if (!fs::is_regular_file(file, none)) continue;
    plugin = file.string();
    std::string reason;
    void* library = open_shared_library(file.string(), reason);
    if (!library) return message("{} cannot be loaded: {}", file.string(), reason);
    const auto enter = reinterpret_cast<BackendEntry>(::dlsym(library, "pare_backend"));
    if (!enter)
      return message("{} is no plug-in of pare: it exports no pare_backend", file.string());
    tellers[size_t(type)] = reinterpret_cast<TellFacts>(::dlsym(library, "pare_device_facts"));
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
  static std::once_flag once[types.size()];
  static std::array<DeviceState, types.size()> states;
  DeviceState& state = states[size_t(type)];
  std::call_once(once[size_t(type)], [&] {
    was_probed[size_t(type)] = true;
    state.device = {type, 0};
    if (type != DeviceType::cpu) state.description = load_backend(type, state.plugin);
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

std::vector<std::pair<std::string, std::string>> device_facts(DeviceType type) {
  std::vector<std::pair<std::string, std::string>> facts;
  probe_device(type);
  if (const TellFacts tell = tellers[size_t(type)])
    tell([](void* to, const char* name,
            const char* value) { static_cast<decltype(facts)*>(to)->emplace_back(name, value); },
         &facts);
  return facts;
}

namespace {

// "cuda:N" as "cuda": lets the process see the N-th of its GPUs alone. CUDA looks when it starts,
// which the first probe makes it do.
std::string_view choose_gpu(std::string_view name) {
  static std::string chosen;  // "" before any was asked for
  static std::mutex mutex;
  constexpr std::string_view prefix = "cuda:";
  if (!name.starts_with(prefix)) return name;
  const std::lock_guard lock(mutex);
  const std::string_view digits = name.substr(prefix.size());
  size_t index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  check(error == std::errc() && end == digits.data() + digits.size() && index < 1024,
        ErrorCode::usage, "device '{}' is unknown: a GPU is named by its number, as cuda:1", name);
  if (chosen == digits || (chosen.empty() && index == 0)) return "cuda";
  check(chosen.empty() && !was_probed[size_t(DeviceType::cuda)], ErrorCode::device,
        "device {}: this process works on {} already; a process has one GPU", name,
        chosen.empty() ? "cuda" : "cuda:" + chosen);
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  std::string only = std::to_string(index);
  if (visible) {
    std::string_view rest = visible;
    for (size_t i = 0; i < index && !rest.empty(); ++i) {
      const size_t comma = rest.find(',');
      rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
    }
    only = rest.substr(0, rest.find(','));
    check(!only.empty(), ErrorCode::device,
          "device {} is not there: CUDA_VISIBLE_DEVICES={} shows fewer GPUs", name, visible);
  }
  ::setenv("CUDA_VISIBLE_DEVICES", only.c_str(), 1);
  chosen = digits;
  return "cuda";
}

}  // namespace

Device select_device(std::string_view name, std::string* reason) {
  const std::string_view asked = name;
  name = choose_gpu(name);
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
    check(state.present, ErrorCode::device, "device {} cannot be used: {}", asked,
          state.description);
    return choose(type, type == DeviceType::cpu ? "" : state.description);
  }
  static constexpr std::string_view known[] = {"auto", "cpu", "cuda", "cuda-emulated"};
  fail(ErrorCode::usage, "device '{}' is unknown{}", name, suggest(name, known, std::size(known)));
}

}  // namespace pare
