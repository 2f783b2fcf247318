// The one ordered list of the kernels of all instruction sets, and which row is used.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <span>
#include <string_view>

#include "core/cpu/isa.h"
#include "core/cpu/kernels/kernels.h"
#include "core/error.h"

namespace pare {
namespace {

struct Feature {
  const char* name;
  bool (*present)();
};
struct Row {
  Isa isa;
  const char* name;
  Isa floats;
  std::span<const Feature> needs;    // what cmake/cpu_kernels.cmake compiles its file for
  const cpu::Kernels& (*kernels)();  // null: a name alone, without kernels in this build
};

#if defined(__x86_64__)
// The floats of one file with the integers of another.
template <const cpu::Kernels& (*floats)(), cpu::Int8Dot4 dot>
const cpu::Kernels& with_dot() {
  static const cpu::Kernels kernels = [] {
    cpu::Kernels k = floats();
    k.int8_dot4 = dot;
    return k;
  }();
  return kernels;
}
#define PARE_FEATURE(name) {name, [] { return bool(__builtin_cpu_supports(name)); }}
#define PARE_KERNELS(function) function
#else
#define PARE_FEATURE(name) {name, [] { return false; }}
#define PARE_KERNELS(function) nullptr
#endif
constexpr Feature avx2[] = {PARE_FEATURE("avx2"), PARE_FEATURE("fma")};
constexpr Feature avx2_vnni[] = {PARE_FEATURE("avx2"), PARE_FEATURE("fma"),
                                 PARE_FEATURE("avxvnni")};
constexpr Feature avx512_vnni[] = {PARE_FEATURE("avx2"),      PARE_FEATURE("fma"),
                                   PARE_FEATURE("avx512f"),   PARE_FEATURE("avx512bw"),
                                   PARE_FEATURE("avx512vl"),  PARE_FEATURE("avx512dq"),
                                   PARE_FEATURE("avx512vnni")};
constexpr std::span<const Feature> avx512 = std::span(avx512_vnni).first(6);
constexpr Feature amx_int8[] = {PARE_FEATURE("avx512f"), PARE_FEATURE("avx512vnni"),
                                PARE_FEATURE("amx-tile"), PARE_FEATURE("amx-int8")};

// The first that runs here is used, unless PARE_ISA names another.
constexpr Row rows[] = {
    {Isa::amx_int8, "amx_int8", Isa::avx512, amx_int8, nullptr},
    {Isa::avx512_vnni, "avx512_vnni", Isa::avx512, avx512_vnni,
     PARE_KERNELS((with_dot<cpu::avx512_kernels, cpu::int8_dot4_avx512_vnni>))},
    {Isa::avx512, "avx512", Isa::avx512, avx512, PARE_KERNELS(cpu::avx512_kernels)},
    {Isa::avx2_vnni, "avx2_vnni", Isa::avx2, avx2_vnni,
     PARE_KERNELS((with_dot<cpu::avx2_kernels, cpu::int8_dot4_avx2_vnni>))},
    {Isa::avx2, "avx2", Isa::avx2, avx2, PARE_KERNELS(cpu::avx2_kernels)},
    {Isa::scalar, "scalar", Isa::scalar, {}, cpu::scalar_kernels},
};
#undef PARE_FEATURE
#undef PARE_KERNELS

const Row& row_of(Isa isa) {
  for (const Row& row : rows)
    if (row.isa == isa) return row;
  return *std::rbegin(rows);
}

// Why a row cannot run here; empty where it can.
std::string obstacle(const Row& row) {
  std::string lacking;
  for (const Feature& feature : row.needs)
    if (!feature.present()) lacking += (lacking.empty() ? "" : " ") + std::string(feature.name);
  if (!lacking.empty()) return "this CPU lacks " + lacking;
  return row.kernels ? "" : "it has no kernels in this build";
}

std::string names(bool that_run) {
  std::string list;
  for (const Row& row : rows)
    if (!that_run || obstacle(row).empty())
      list += (list.empty() ? "" : ", ") + std::string(row.name);
  return list;
}

const Row& widest() {
  for (const Row& row : rows)
    if (obstacle(row).empty()) return row;
  return *std::rbegin(rows);
}

// Errors not by fail(): the layer that happens to ask first is not to blame.
void check_runs(const Row& row, std::string_view asked) {
  const std::string why_not = obstacle(row);
  if (!why_not.empty())
    throw Error(ErrorCode::usage, message("{} '{}' does not run here: {}; these do: {}", asked,
                                          row.name, why_not, names(true)));
}

const Row& chosen() {
  const char* text = std::getenv("PARE_ISA");
  const std::string_view wanted = text ? text : "";
  if (wanted.empty()) return widest();
  for (const Row& row : rows)
    if (wanted == row.name) {
      check_runs(row, "PARE_ISA");
      return row;
    }
  throw Error(ErrorCode::usage, message("PARE_ISA is '{}'; it takes {}", wanted, names(false)));
}

// The table by itself, for kernels() is called for every tile.
struct Used {
  std::atomic<const Row*> row;
  std::atomic<const cpu::Kernels*> kernels;
  explicit Used(const Row& r) : row(&r), kernels(&r.kernels()) {}
};
Used& used() {
  static Used u(chosen());
  return u;
}

}  // namespace

std::string to_string(Isa isa) { return row_of(isa).name; }
Isa detected_isa() { return widest().isa; }
Isa current_isa() { return used().row.load(std::memory_order_relaxed)->isa; }
Isa float_isa(Isa isa) { return row_of(isa).floats; }
void set_isa(Isa isa) {
  const Row& row = row_of(isa);
  check_runs(row, "instruction set");
  used().row = &row;
  used().kernels = &row.kernels();
}

std::vector<IsaState> isa_states() {
  std::vector<IsaState> states;
  const Isa current = current_isa();
  bool behind = false;
  for (const Row& row : rows) {
    IsaState s{.isa = row.isa, .needs = {}, .why_not = obstacle(row)};
    for (const Feature& feature : row.needs) s.needs.push_back(feature.name);
    s.runs = s.why_not.empty();
    s.in_use = row.isa == current;
    if (s.runs && !s.in_use)
      s.why_not = behind ? message("{} comes first", to_string(current))
                         : "PARE_ISA asks for " + to_string(current);
    behind = behind || s.in_use;
    states.push_back(std::move(s));
  }
  return states;
}

namespace cpu {
const Kernels& kernels() { return *used().kernels.load(std::memory_order_relaxed); }
}  // namespace cpu

}  // namespace pare
