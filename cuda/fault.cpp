#include "cuda/fault.h"

#include <bit>
#include <cstdio>
#include <string>

#include "core/error.h"

namespace pare::cuda {
namespace {

Fault* the_record = nullptr;

std::string text_of(const Fault& fault) {
  const int64_t* v = fault.values;
  if (fault.kind == Fault::label_outside)
    return message("label {} of example {} is outside 0..{}", v[0], v[1], v[2]);
  return message(
      "a quantized value has the range [{}, {}]; it must be finite, and low at most high",
      std::bit_cast<float>(int32_t(v[0])), std::bit_cast<float>(int32_t(v[1])));
}

}  // namespace

Fault* fault_record() { return the_record; }
void set_fault_record(Fault* record) {
  the_record = record;
  *record = Fault{};
}

Status tell_fault(char* error) {
  const Fault fault = *the_record;
  if (fault.kind == Fault::none) return Status::ok;
  *the_record = Fault{};
  std::snprintf(error, error_length, "found by a kernel that was queued before: %s",
                text_of(fault).c_str());
  return Status::failed;
}

}  // namespace pare::cuda
