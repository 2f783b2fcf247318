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
#include "datasets/dataset.h"

namespace pare::tool {

using Json = nlohmann::ordered_json;

struct CommonOptions {
  std::string data, data_dir, device = "auto", out;
  std::vector<std::string> plugins;
  int threads = 0;
  uint64_t seed = 1;
  int64_t batch = 0;  // 0: the command's own
  bool json = false, quiet = false;

  void apply() const;  // threads, plug-ins, and that the device is one

  // The device to compute on; for `auto`, says in one line what was chosen and why.
  Device chosen_device() const;
};

enum CommonFlags : unsigned { with_data = 1, with_out = 2, with_seed = 4, with_batch = 8 };
void add_common(CLI::App& command, CommonOptions& options, unsigned flags);

// A line for people on standard error, unless --quiet.
template <class... Args>
void note(const CommonOptions& options, fmt::format_string<Args...> pattern, Args&&... args) {
  if (!options.quiet) fmt::print(stderr, "{}\n", fmt::format(pattern, std::forward<Args>(args)...));
}
// The result: `text` for people, or `json` when asked for.
void print_result(const CommonOptions& options, const Json& json, const std::string& text);

std::string human_bytes(double bytes);  // "1.6 MB"
std::string human_count(double count);  // "431 k"
std::string percent(double ratio);      // "99.30 %"

// A saved model and the data it goes with: --data, else what the file says it was trained on.
Graph open_model(const std::string& file);
Dataset open_data(const CommonOptions& options, const Graph& graph);
// The preprocessing stored in the model; the data set's own where it has none.
Preprocessing preprocessing_of(const Graph& graph, const Dataset& data);
std::vector<std::string> classes_of(const Graph& graph);
int64_t file_bytes(const std::string& path);

void add_train(CLI::App& app);
void add_eval(CLI::App& app);
void add_summary(CLI::App& app);
void add_predict(CLI::App& app);
void add_bench(CLI::App& app);
void add_prune(CLI::App& app);
void add_quantize(CLI::App& app);
void add_distill(CLI::App& app);
void add_data(CLI::App& app);
void add_doctor(CLI::App& app);

}  // namespace pare::tool
