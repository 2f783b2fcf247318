// pare doctor: what a bug report needs.
#include <optional>

#include "autograd/op.h"
#include "compress/device_check.h"
#include "core/backend.h"
#include "core/cpu/blas.h"
#include "core/cpu/isa.h"
#include "core/device.h"
#include "core/thread_pool.h"
#include "tools/command.h"

namespace pare::tool {
namespace {

std::vector<std::string> cpu_features() {
  std::vector<std::string> found;
#if defined(__x86_64__)
  const auto add = [&](bool has, const char* name) {
    if (has) found.push_back(name);
  };
  add(__builtin_cpu_supports("sse4.2"), "sse4.2");
  add(__builtin_cpu_supports("avx2"), "avx2");
  add(__builtin_cpu_supports("fma"), "fma");
  add(__builtin_cpu_supports("avx512f"), "avx512f");
  add(__builtin_cpu_supports("avx512bw"), "avx512bw");
  add(__builtin_cpu_supports("avx512vnni"), "avx512vnni");
#endif
  return found;
}

// Each row of the list of kernels, in its order: what the CPU must have, and why it is not used.
void print_kernels(const CommonOptions& common) {
  Json rows = Json::array();
  std::string table;
  for (const IsaState& s : isa_states()) {
    const std::string name = to_string(s.isa), floats = to_string(float_isa(s.isa));
    rows.push_back({{"name", name},
                    {"floats", floats},
                    {"needs", s.needs},
                    {"runs", s.runs},
                    {"in_use", s.in_use},
                    {"why_not", s.why_not}});
    table +=
        fmt::format("\n{:<12} {:<7} {:<60} {}", name, floats,
                    fmt::format("{}", fmt::join(s.needs, " ")), s.in_use ? "in use" : s.why_not);
  }
  print_result(common, {{"kernels", to_string(current_isa())}, {"kernel_rows", rows}},
               fmt::format("{:<12} {:<7} {:<60} {}{}", "kernels", "floats", "the CPU needs",
                           "state", table));
}

// A line a kernel, with the devices that --device names: the CPU and a GPU that is there by
// default.
struct Check {
  Json json = Json::array();
  std::string lines, wrong;

  explicit Check(const std::string& device) {
    registered_ops();
    if (device == "auto") {
      for (const DeviceState& d : list_devices())
        if (d.present && d.device.type != DeviceType::cuda_emulated) add(d.device);
    } else {
      add(select_device(device));
    }
  }

 private:
  void add(Device device) {
    static constexpr const char* words[] = {"ok", "differs", "not checked"};
    for (const KernelReport& r : check_device(device)) {
      const char* outcome = words[size_t(r.outcome)];
      json.push_back({{"device", to_string(device)},
                      {"kernel", r.kernel},
                      {"outcome", outcome},
                      {"difference", r.difference}});
      lines += fmt::format("\n  {} {:<32} {}{}", to_string(device), r.kernel, outcome,
                           r.difference.empty() ? "" : ": " + r.difference);
      if (r.outcome == KernelReport::Outcome::differs)
        wrong += fmt::format("{}{} on {}", wrong.empty() ? "" : ", ", r.kernel, to_string(device));
    }
  }
};

struct DoctorCommand {
  CommonOptions common;
  bool check = false, kernels = false;

  void run() {
    common.apply();
    if (kernels) return print_kernels(common);
    note_data_dir(common);
    Json data = Json::array();
    std::string found;
    for (const DatasetInfo& d : list_datasets({.dir = common.data_dir}))
      if (!d.where.empty()) {
        data.push_back({{"name", d.name}, {"where", d.where}});
        found += fmt::format("\n  {:<14} {}", d.name, d.where);
      }
    Json devices = Json::array(), states = Json::array();
    std::string device_lines;
    for (const DeviceState& d : list_devices()) {
      const std::string name = to_string(d.device);
      if (d.present) devices.push_back(name);
      Json missing = Json::array();
      std::string more;
      if (d.present) {
        registered_ops();  // so that all kernels are known
        const auto names = missing_kernels(d.device);
        missing = names;
        if (!names.empty())
          more = fmt::format("\n    without kernels for {}", fmt::join(names, " "));
      }
      Json facts = Json::object();
      if (!d.plugin.empty()) {
        facts["plug-in"] = d.plugin;
        more += fmt::format("\n    plug-in: {}", d.plugin);
      }
      for (const auto& [what, value] : device_facts(d.device.type)) {
        facts[what] = value;
        more += fmt::format("\n    {}: {}", what, value);
      }
      states.push_back({{"name", name},
                        {"present", d.present},
                        {"description", d.description},
                        {"missing_kernels", missing},
                        {"facts", facts}});
      device_lines +=
          fmt::format("\n  {:<14} {}{}{}", name, d.present ? "" : "absent: ", d.description, more);
    }
    const auto features = cpu_features();
    const std::string isa = to_string(current_isa());
    const auto checked = check ? std::optional<Check>(common.device) : std::nullopt;
    Json json{
        {"version", PARE_VERSION},  {"devices", devices},      {"device_states", states},
        {"cpu_features", features}, {"kernels", isa},          {"blas", cpu::blas_description()},
        {"threads", threads()},     {"compiler", __VERSION__}, {"data", data}};
    std::string failure;
    if (checked) {
      json["check"] = checked->json;
      if (!checked->wrong.empty())
        failure = fmt::format(
            "kernels that compute something else than they should: {}; use "
            "another device, and report this",
            checked->wrong);
    }
    if (!failure.empty()) json["error"] = failure, json["code"] = int(ErrorCode::device);
    print_result(
        common, json,
        fmt::format(
            "pare {}, compiled by {}\ncpu: {}; kernels in use: {}{}\nthreads: {}\n"
            "blas: {}\ndevices:{}\ndata:{}{}",
            PARE_VERSION, __VERSION__, fmt::join(features, " "), isa,
            current_isa() == Isa::scalar ? " (slow: this CPU lacks AVX2, or PARE_ISA caps it)" : "",
            threads(), cpu::blas_description(), device_lines, found,
            checked ? "\ncheck:" + checked->lines : ""));
    if (!failure.empty()) throw Error(ErrorCode::device, failure);
  }
};

}  // namespace

void add_doctor(CLI::App& app) {
  auto* command = app.add_subcommand("doctor", "versions, CPU, threads, devices and data found");
  command->footer("Example: pare doctor --check --json");
  auto o = std::make_shared<DoctorCommand>();
  add_common(*command, o->common, with_device);
  command->add_flag(
      "--check", o->check,
      "run a small case of each kernel of the device against the CPU; code 4 where one differs");
  command->add_option("--data-dir", o->common.data_dir, "folder that holds the data sets' folders");
  command->add_flag("--kernels", o->kernels,
                    "only the CPU kernels: which run, and why others are passed over");
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
