// Which instruction set the kernels use: the widest that the CPU has, or the one that PARE_ISA
// names.
#pragma once

#include <string>
#include <vector>

namespace pare {

// One for each row of the list of kernels (core/cpu/kernels/list.cpp), the widest last.
enum class Isa : int { scalar, avx2, avx2_vnni, avx512, avx512_vnni, amx_int8 };
std::string to_string(Isa isa);  // "avx2_vnni", as PARE_ISA names it
Isa detected_isa();              // the widest that runs here
// What is used. Throws Error{usage} where PARE_ISA names none, or one that does not run here.
Isa current_isa();
// The instruction set whose float kernels `isa` takes: two with the same give the same bits.
Isa float_isa(Isa isa);
// Uses `isa` from now on (tests and benchmarks). Throws Error{usage} where it does not run here.
void set_isa(Isa isa);

// A row of the list, for people.
struct IsaState {
  Isa isa;
  std::vector<std::string> needs;  // features of the CPU, as __builtin_cpu_supports names them
  bool runs = false;               // the CPU has them all, and there are kernels
  bool in_use = false;
  std::string why_not;  // in use: empty; else why the row is passed over
};
// All rows in the order in which they are tried, the widest first. Throws as current_isa().
std::vector<IsaState> isa_states();

}  // namespace pare
