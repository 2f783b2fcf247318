// Which instruction set the kernels use: the widest the CPU has, capped by PARE_ISA.
#pragma once

#include <string>

namespace pare {

enum class Isa : int { scalar = 0, avx2 = 1, avx512 = 2 };
std::string to_string(Isa isa);
Isa detected_isa();  // what the CPU has; avx512 means F, BW, VL, DQ and VNNI
Isa current_isa();   // what is used
// Uses at most `cap` from now on (tests and benchmarks); never more than the CPU has.
void set_isa(Isa cap);

}  // namespace pare
