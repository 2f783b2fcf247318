// A device checked in a second or two: a small case of each of its kernels, and one replay of
// recorded work, against the CPU.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace pare {

struct KernelReport {
  std::string kernel;  // its name, "conv2d.forward tf32" for other precisions, or "a replay"
  enum class Outcome { ok, differs, not_checked } outcome = Outcome::ok;
  std::string difference;  // what differs, or why it was not checked
};

// One report a kernel of `device`, sorted by name, then one of recorded work. The CPU's kernels are
// compared with their scalar forms (core/kernel_check.h), those of other devices with the CPU's.
// Kernels of users, which no case reaches, are not checked. Throws Error{device} where the device
// is absent; one that fails in a case is a difference. No other thread may compute meanwhile.
std::vector<KernelReport> check_device(Device device);

// A piece of work that calls kernels; its results, on `device`, are compared with the CPU's too.
// They are what decides about `kernel` where that is a name of one that the CPU lacks.
struct CheckCase {
  std::string kernel;
  std::function<std::vector<Tensor>(Device)> run;
};
const std::vector<CheckCase>& check_cases();

}  // namespace pare
