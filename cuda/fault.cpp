#include "cuda/fault.h"

#include <cstdio>

namespace pare::cuda {
namespace {
Fault* the_record = nullptr;
}

Fault* fault_record() { return the_record; }
void set_fault_record(Fault* record) {
  the_record = record;
  *record = Fault{};
}

Status tell_fault(char* error) {
  const Fault fault = *the_record;
  if (fault.kind == Fault::none) return Status::ok;
  *the_record = Fault{};
  std::snprintf(error, error_length,
                "found by a kernel that was queued before: label %lld of example %lld is outside "
                "0..%lld",
                static_cast<long long>(fault.values[0]), static_cast<long long>(fault.values[1]),
                static_cast<long long>(fault.values[2]));
  return Status::failed;
}

}  // namespace pare::cuda
