// What the commands share: options, and where output goes. One file a command; each adds itself to
// the application through the function listed here, and main.cpp calls them all.
//
// Results go to standard output (with --json, exactly one JSON object); progress, notes and
// warnings go to standard error.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "autograd/graph.h"
#include "core/run_files.h"
#include "core/streams.h"
#include "datasets/dataset.h"

namespace pare::tool {

using Json = nlohmann::ordered_json;

enum class Use { evaluation, training };  // what a network is put on a device for

struct CommonOptions {
  std::string data, data_dir, axes, device = "auto", out;
  std::vector<double> pixel_range;  // black, white; empty: as the data tell
  std::vector<std::string> plugins;
  int threads = 0;
  uint64_t seed = 1;
  int64_t batch = 0;  // 0: the command's own
  bool json = false, quiet = false, force = false;
  bool on_devices = false;  // the command computes where --device says, not on the CPU alone
  const CLI::App* command = nullptr;

  bool given(const std::string& option) const;  // on the command line
  // Throws Error{usage} where one of the options was given: they change nothing in `where`.
  void refuse(const std::vector<std::string>& options, const std::string& where) const;

  // Refuses --data-dir for data that lie in no folder of data sets: generated, or an archive.
  void check_data_dir(const std::string& data) const;

  // Threads and plug-ins. Throws Error{device} for a device that is absent, and for any but the CPU
  // where the command computes on the CPU alone.
  void apply() const;

  // The device to compute `graph` on, with its gradients in training. For `auto` it says in one
  // line what it chose and why; a device asked for by name that lacks kernels of the graph throws
  // Error{device}. `cpu_only`, where it is not empty, is a reason why only the CPU will do.
  Device device_for(const Graph& graph, Use use, const std::string& cpu_only = {}) const;
};

enum CommonFlags : unsigned {
  with_data = 1,
  with_out = 2,
  with_seed = 4,
  with_batch = 8,
  with_device = 16
};
void add_common(CLI::App& command, CommonOptions& options, unsigned flags);

// A line for people on standard error, unless --quiet.
template <class... Args>
void note(const CommonOptions& options, fmt::format_string<Args...> pattern, Args&&... args) {
  if (!options.quiet) tell(fmt::format(pattern, std::forward<Args>(args)...));
}
// Says that `option` asks for more of `what` than there are, where it was given and does.
void note_excess(const CommonOptions& options, const std::string& option, int64_t asked,
                 int64_t there, const std::string& what);
// The result: `text` for people, or `json` when asked for.
void print_result(const CommonOptions& options, const Json& json, const std::string& text);

std::string human_bytes(double bytes);  // "1.6 MB"
std::string human_count(double count);  // "431 k"
std::string percent(double ratio);      // "99.30 %"; "not known" for NaN

// A saved model. Throws what load_graph throws, and says so where a network was named instead.
Graph open_model(const std::string& file);
// Where to look for data, and what --axes and --pixel-range say of them. `model` takes them.
DatasetOptions dataset_options(const CommonOptions& options, const Graph* model = nullptr);
// Says where --data-dir is no folder, in commands that only look what is there.
void note_data_dir(const CommonOptions& options);
// The options of the data themselves; add_common's with_data adds them too.
void add_data_options(CLI::App& command, CommonOptions& options);
// The data that a saved model goes with, as it takes them (fit_data): --data, else what the file
// says it was trained on. To train: names of the data take the place of numbers.
Dataset open_data(const CommonOptions& options, Graph& graph, bool to_train = false);
int64_t file_bytes(const std::string& path);  // 0: no regular file
// The files of this process (core/run_files.h): every output is named there before any work.
RunFiles& run_files();
// --out, else the input's name with `suffix` before ".pare".
std::string output_name(const CommonOptions& options, const std::string& input,
                        const std::string& suffix);
// Throws Error{usage} where `out` is a model that may have been trained, unless --force: for
// results that were not.
void keep_trained(const std::string& out);
void write_text(const std::string& path, const std::string& text);

void add_train(CLI::App& app);
void add_eval(CLI::App& app);
void add_summary(CLI::App& app);
void add_predict(CLI::App& app);
void add_bench(CLI::App& app);
void add_prune(CLI::App& app);
void add_sensitivity(CLI::App& app);
void add_quantize(CLI::App& app);
void add_distill(CLI::App& app);
void add_data(CLI::App& app);
void add_doctor(CLI::App& app);

}  // namespace pare::tool
