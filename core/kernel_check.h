// Kernels checked while they work: every call is made once more by a reference, on copies of what
// the call was given, and all it wrote is compared.
//
// On a device the reference is the CPU's kernel of that name; on the CPU it is the same kernel
// capped to the scalar instruction set. What is wrong is so found in the kernel that does it,
// whatever network or case calls it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend.h"

namespace pare {

// Stands between the kernels and this thread's calls of them while it lives; the innermost alone.
class KernelWatch {
 public:
  KernelWatch();
  virtual ~KernelWatch();
  KernelWatch(const KernelWatch&) = delete;
  KernelWatch& operator=(const KernelWatch&) = delete;
  // Makes the call `fn(args)` of `kernel` on `device`; args are complete, but for a device's turn.
  virtual Status call(std::string_view kernel, Device device, KernelFn fn,
                      const KernelArgs& args) = 0;

 private:
  KernelWatch* previous_;
};

// Names of the kernels that `device` has, sorted. Throws Error{device} where it is absent.
std::vector<std::string> kernels_on(Device device);
// The kernel of that name, null where the device has none.
KernelFn kernel_function(std::string_view name, DeviceType type);

struct KernelVerdict {
  int64_t calls = 0;       // that were compared
  std::string difference;  // the first; "": none
};

// Checks this thread's calls of kernels on one device. Floats may differ by 2^-16 of the largest
// magnitude of their tensor, integers not at all. Kernels that the CPU lacks are not compared, nor
// is work that is being recorded.
class KernelCheck : public KernelWatch {
 public:
  explicit KernelCheck(Device device) : device_(device) {}
  Status call(std::string_view kernel, Device device, KernelFn fn, const KernelArgs& args) override;
  // By the kernel's name, with tf32 or bf16 behind it where products were made so.
  const std::map<std::string, KernelVerdict>& verdicts() const { return verdicts_; }

 private:
  Device device_;
  std::map<std::string, KernelVerdict> verdicts_;
};

// Where two tensors of one type and size differ by more than KernelCheck allows; "": nowhere. Both
// lie in the host's memory.
std::string difference(const TensorArg& got, const TensorArg& want);

}  // namespace pare
