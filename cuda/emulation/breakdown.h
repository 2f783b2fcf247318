// Breakdowns that the emulated device plays, for tests of what happens then. $PARE_EMULATION_FAULT:
//
//   no-driver, driver-too-old, no-gpu, old-gpu, busy-gpu, no-kernel-image
//                    the device cannot be started
//   no-recording     work cannot be recorded
//   oom-after-N      every allocation after the first N fails
//   memory-N         the device has N bytes
//   lost-after-N     after N launches the device is lost: whatever it is asked for fails
#pragma once

#include <cstddef>
#include <string>

namespace pare::cuda::emulation {

std::string start_fault();  // why the device cannot be started; "" if it can
bool allocation_fails();    // counts one allocation
size_t memory_limit();
void count_launch();  // throws Failure where the device is lost
bool lost();
bool records();  // whether work can be recorded
std::string lost_text();

}  // namespace pare::cuda::emulation
