// What a kernel found wrong with its data. A kernel cannot fail; it notes the fault in memory that
// the host sees too, and the next call that waits for the device tells it, as the contract of
// backends allows. One thread of one block writes, so the first fault is the same every time.
#pragma once

#include <cstdint>

#include "core/backend.h"
#include "cuda/device.h"

namespace pare::cuda {

struct Fault {
  enum Kind : int32_t {
    none,
    label_outside,  // label, example, last class
    range_wrong,    // of a quantized value: bits of its two floats
  };
  int32_t kind = none;
  int64_t values[3] = {};
};

// Where kernels note one; null on no device.
Fault* fault_record();
void set_fault_record(Fault* record);
// failed, with the text, where one was noted since the last call. To be called when the device has
// nothing left to do.
Status tell_fault(char* error);

PARE_DEVICE inline void note_fault(Fault* record, Fault::Kind kind, int64_t a, int64_t b,
                                   int64_t c) {
  if (record->kind != Fault::none) return;
  record->kind = kind;
  record->values[0] = a;
  record->values[1] = b;
  record->values[2] = c;
}

}  // namespace pare::cuda
