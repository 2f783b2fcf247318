#include "autograd/run.h"

#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace pare {
namespace {

struct NameCount {
  uint64_t hash;
  int count;
};
struct RunState {
  RunKey key;
  const uint64_t* recorded_key = nullptr;
  bool recorded_key_used = false;
  std::string path;
  std::vector<NameCount> counts;
  RunState() {
    path.reserve(256);
    counts.reserve(64);
  }
};
RunState& state() {
  thread_local RunState s;
  return s;
}

const bool names_in_errors = [] {
  set_scope_namer([] { return state().path; });
  return true;
}();

}  // namespace

RunKey run_key() { return state().key; }
RunKeyScope::RunKeyScope(RunKey key) : saved_(state().key) { state().key = key; }
RunKeyScope::~RunKeyScope() { state().key = saved_; }

const uint64_t* recorded_run_key() {
  state().recorded_key_used = true;
  return state().recorded_key;
}
RecordedRunKeyScope::RecordedRunKeyScope(const uint64_t* on_device) {
  state().recorded_key = on_device;
  state().recorded_key_used = false;
}
RecordedRunKeyScope::~RecordedRunKeyScope() { state().recorded_key = nullptr; }
bool RecordedRunKeyScope::used() const { return state().recorded_key_used; }

const std::string& scope_path() { return state().path; }

ScopeName::ScopeName(std::string_view name) : previous_length_(state().path.size()) {
  std::string& path = state().path;
  if (!path.empty() && !name.empty()) path += '/';
  path += name;
}
ScopeName::~ScopeName() { state().path.resize(previous_length_); }

std::string next_node_name(std::string_view op) {
  RunState& s = state();
  const uint64_t hash = hash_name(op, hash_name("/", hash_name(s.path)));
  int count = 0;
  for (NameCount& c : s.counts)
    if (c.hash == hash) count = ++c.count;
  if (count == 0) {
    s.counts.push_back({hash, 1});
    count = 1;
  }
  std::string name = s.path.empty() ? std::string(op) : s.path + "/" + std::string(op);
  if (count > 1) name += "_" + std::to_string(count);
  return name;
}
void restart_node_names() { state().counts.clear(); }

}  // namespace pare
