#include "tools/command.h"

#include <sys/stat.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <set>
#include <thread>

#include "autograd/graph_file.h"
#include "autograd/plugin.h"
#include "core/device.h"
#include "core/file_io.h"
#include "core/json.h"
#include "core/thread_pool.h"
#include "layers/zoo.h"
#include "optim/history.h"
#include "optim/model_facts.h"
#include "optim/trainer.h"
#include "tools/outcome.h"
#include "tools/usage.h"

namespace pare::tool {

bool CommonOptions::given(const std::string& option) const {
  const CLI::Option* known = command ? command->get_option_no_throw(option) : nullptr;
  return known && known->count() > 0;
}

void CommonOptions::refuse(const std::vector<std::string>& options,
                           const std::string& where) const {
  for (const std::string& option : options)
    check(!given(option), "{} has no part in {}; leave it out", option, where);
}

void CommonOptions::apply() const {
  set_threads(threads);
  if (command && command->get_option_no_throw("--force")) run_files().may_be_forced("give --force");
  if (force) run_files().force();
  const int processors = int(std::thread::hardware_concurrency());
  if (pare::threads() < threads)
    note(*this, "note: --threads {}: the system gives {}", threads, pare::threads());
  else if (processors > 0 && threads > processors)
    note(*this, "note: --threads {} on {} processors is slower than --threads {}", threads,
         processors, processors);
  if (device != "auto") {
    const Device named = select_device(device);
    check(on_devices || named == Device{}, ErrorCode::device,
          "--device {}: this command computes on the CPU alone; leave the option out", device);
  }
  for (const std::string& path : plugins) load_plugin(path);
}

namespace {

// Names of the graph's ops that `device` cannot run, or has no gradient of where that is needed.
std::set<std::string> missing_ops(const Graph& graph, Device device, Use use) {
  std::set<std::string> missing;
  for (const GraphNode& n : graph.nodes)
    if (!runs_on(*n.op, device))
      missing.insert(n.op->name);
    else if (use == Use::training && !differentiates_on(*n.op, device))
      missing.insert(std::string("the gradient of ") + n.op->name);
  return missing;
}

}  // namespace

Device CommonOptions::device_for(const Graph& graph, Use use, const std::string& cpu_only) const {
  std::string reason;
  Device chosen = select_device(device, &reason);
  std::string obstacle = chosen == Device{} ? "" : cpu_only;
  if (chosen != Device{} && obstacle.empty())
    if (const auto missing = missing_ops(graph, chosen, use); !missing.empty())
      obstacle = fmt::format("there are no kernels on {} for {}", to_string(chosen),
                             fmt::join(missing, ", "));
  if (!obstacle.empty()) {
    check(device == "auto", ErrorCode::device, "--device {}: {}; use --device cpu", device,
          obstacle);
    chosen = Device{};
    reason = fmt::format("cpu ({})", obstacle);
  }
  if (device == "auto" && (chosen != Device{} || !obstacle.empty()))
    note(*this, "device {}", reason);
  return chosen;
}

void CommonOptions::check_data_dir(const std::string& name) const {
  if (name == "digits" || name.starts_with("npz:")) refuse({"--data-dir"}, name);
}

void note_data_dir(const CommonOptions& o) {
  std::error_code none;
  if (!o.data_dir.empty() && !std::filesystem::is_directory(o.data_dir, none))
    note(o, "note: --data-dir {}: no such folder", o.data_dir);
}

void add_data_options(CLI::App& command, CommonOptions& o) {
  command.add_option("--data-dir", o.data_dir,
                     "folder that holds the data sets' folders (else $PARE_DATA, else the cache)");
  command.add_option("--axes", o.axes,
                     "order of an archive's image axes, where its shape does not tell: chw or hwc");
  command
      .add_option("--pixel-range", o.pixel_range,
                  "numbers that are black and white in an archive, where its values do not tell")
      ->expected(2);
}

void add_common(CLI::App& command, CommonOptions& o, unsigned flags) {
  if (flags & with_data) {
    command.add_option("--data", o.data, "data set: digits, mnist, cifar10, ... (pare data list)");
    add_data_options(command, o);
  }
  if (flags & with_out) {
    command.add_option("--out", o.out, "file to write");
    command.add_flag("--force", o.force,
                     "replace files of other kinds, runs that are not finished, trained networks");
  }
  if (flags & with_seed) command.add_option("--seed", o.seed, "seed of everything random");
  if (flags & with_batch)
    command.add_option("--batch", o.batch, "examples at a time")
        ->check(between(1, 1 << 20))
        ->default_str("");
  o.command = &command;
  o.on_devices = flags & with_device;
  command.add_option("--device", o.device,
                     o.on_devices ? "auto (cuda where there is one, else cpu), cpu, cuda or "
                                    "cuda-emulated (CUDA kernels on the CPU, for tests)"
                                  : "cpu: this command computes there alone");
  command.add_option("--plugin", o.plugins, "shared library that registers further ops");
  command.add_option("--threads", o.threads, "threads that compute; 0: all cores")
      ->check(between(0, max_threads));
  command.add_flag("--json", o.json, "print one JSON object on standard output");
  command.add_flag("--quiet", o.quiet, "no progress, no notes");
}

void note_excess(const CommonOptions& options, const std::string& option, int64_t asked,
                 int64_t there, const std::string& what) {
  if (options.given(option) && asked > there)
    note(options, "note: {} {}: there are {} {}; all are taken", option, asked, there, what);
}

void print_result(const CommonOptions& options, const Json& json, const std::string& text) {
  print_output(options.json ? to_text(json) : text);
}

std::string human_bytes(double bytes) {
  static constexpr std::array units{"B", "kB", "MB", "GB", "TB"};
  size_t i = 0;
  for (; bytes >= 1000 && i + 1 < units.size(); ++i) bytes /= 1000;
  return fmt::format("{:.{}f} {}", bytes, i ? 1 : 0, units[i]);
}

std::string human_count(double count) {
  static constexpr std::array units{"", " k", " M", " G", " T"};
  size_t i = 0;
  for (; count >= 1000 && i + 1 < units.size(); ++i) count /= 1000;
  return fmt::format("{:.{}f}{}", count, i ? 1 : 0, units[i]);
}

std::string percent(double ratio) {
  return std::isnan(ratio) ? "not known" : fmt::format("{:.2f} %", 100 * ratio);
}

Graph open_model(const std::string& file) {
  const auto networks = model_names();
  std::error_code none;
  check(std::find(networks.begin(), networks.end(), file) == networks.end() ||
            std::filesystem::exists(file, none),
        ErrorCode::bad_input,
        "{}: no such file; it is the name of a network, and what is wanted is a saved one, as pare "
        "train {} --out {}.pare writes it",
        file, file, file);
  return load_graph(file);
}

DatasetOptions dataset_options(const CommonOptions& o, const Graph* model) {
  DatasetOptions out{.dir = o.data_dir, .axes = o.axes};
  if (!o.pixel_range.empty())
    out.pixels = PixelRange{.low = o.pixel_range[0], .high = o.pixel_range[1]};
  if (model) out.model = preprocessing_of(*model);
  return out;
}

Dataset open_data(const CommonOptions& options, Graph& graph, bool to_train) {
  const std::string stored = graph.get_metadata("data");
  const std::string name = options.data.empty() ? stored : options.data;
  check(!name.empty(), "the model does not say which data it was trained on; name it with --data");
  options.check_data_dir(name);
  DatasetOptions how = dataset_options(options, &graph);
  if (how.model && name != stored) how.model->axes.clear();  // those of its own data alone
  Dataset data = load_dataset(name, how);
  if (to_train) adopt_class_names(graph, data);
  if (const std::string other = other_class_names(graph, data); !other.empty())
    note(options, "note: {}", other);
  return fit_data(graph, std::move(data));
}

int64_t file_bytes(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) ? int64_t(info.st_size) : 0;
}

std::string output_name(const CommonOptions& options, const std::string& input,
                        const std::string& suffix) {
  constexpr std::string_view ending = ".pare";
  std::string name = options.out;
  if (name.empty()) {
    const bool ends = input.ends_with(ending);
    name = input.substr(0, input.size() - (ends ? ending.size() : 0)) + suffix;
    name += ending;
  }
  return name;
}

RunFiles& run_files() { return *current_run_files(); }

void keep_trained(const std::string& out) {
  if (run_files().forced() || file_bytes(out) == 0) return;
  bool untrained = false;
  try {
    untrained = origin_of(read_graph(Container(peek_file(out)))) == Origin::initial;
  } catch (const Error&) {  // whatever it is, it is not known to be untrained
  }
  check(untrained,
        "{} holds a network that may be trained, and this one is not; name another --out, or give "
        "--force",
        out);
}

void write_text(const std::string& path, const std::string& text) {
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  write_file_atomically(path, {&bytes, 1});
}

}  // namespace pare::tool
