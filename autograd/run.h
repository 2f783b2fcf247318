// What surrounds one run of a network: the mode, the key of its randomness, and the scope names of
// the modules at work. All thread-local: two threads may run two networks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pare {

// Train updates running statistics and draws dropout; eval does neither. An argument of a run,
// never a property of a layer.
enum class Mode : uint8_t { train, eval };

// Randomness of a run is a pure function of (seed, step, node name, element).
struct RunKey {
  uint64_t seed = 0;
  uint64_t step = 0;
};
RunKey run_key();
class RunKeyScope {
 public:
  explicit RunKeyScope(RunKey key);
  ~RunKeyScope();
  RunKeyScope(const RunKeyScope&) = delete;
  RunKeyScope& operator=(const RunKeyScope&) = delete;

 private:
  RunKey saved_;
};

// While a step is recorded to be replayed with other keys: where the device keeps mix_keys(seed,
// step) of the replay. Null elsewhere.
const uint64_t* recorded_run_key();
class RecordedRunKeyScope {
 public:
  explicit RecordedRunKeyScope(const uint64_t* on_device);
  ~RecordedRunKeyScope();
  RecordedRunKeyScope(const RecordedRunKeyScope&) = delete;
  RecordedRunKeyScope& operator=(const RecordedRunKeyScope&) = delete;
  bool used() const;  // whether an op asked for it
};

// The path of the running modules ("block1/conv2"), "" outside any.
const std::string& scope_path();
class ScopeName {
 public:
  explicit ScopeName(std::string_view name);
  ~ScopeName();
  ScopeName(const ScopeName&) = delete;
  ScopeName& operator=(const ScopeName&) = delete;

 private:
  size_t previous_length_;
};
// The name of the next node of `op` in the present scope: "block1/conv2/conv2d", then with "_2" and
// so on. Counting starts again with each outermost module call, tape or capture, so that the same
// program gives the same names; graph nodes keep the name they were captured under.
std::string next_node_name(std::string_view op);
void restart_node_names();

}  // namespace pare
