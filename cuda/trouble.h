// What can be wrong with a GPU, and what to do about it. One text for the GPU and for the faults
// that its emulation plays.
#pragma once

#include <string>

namespace pare::cuda {

enum class Trouble {
  no_driver,
  old_driver,
  no_gpu,
  old_gpu,
  busy_gpu,
  no_kernel_image,
  out_of_memory,
  lost,  // by an error that the process does not recover from
  other
};

// What kernels are written for: Turing. CUDA 13 compiles for nothing older.
constexpr int oldest_capability = 75;

// CUDA writes version 13.1 as 13010.
inline std::string cuda_version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// "" for other. `driver` and `runtime` are versions as CUDA writes them.
inline std::string remedy(Trouble trouble, int driver = 0, int runtime = 0) {
  switch (trouble) {
    case Trouble::no_driver:
      return "no NVIDIA driver is installed; install one, or use --device cpu";
    case Trouble::old_driver:
      return "the NVIDIA driver is too old: it serves CUDA " + cuda_version(driver) +
             ", this plug-in needs " + cuda_version(runtime) +
             "; update it (its parts must be of one version), or use --device cpu";
    case Trouble::no_gpu:
      return "there is no NVIDIA GPU (or CUDA_VISIBLE_DEVICES hides it); use --device cpu";
    case Trouble::old_gpu:
      return "this GPU is older than compute capability 7.5, which the kernels need; use --device "
             "cpu";
    case Trouble::busy_gpu:
      return "the GPU is taken: another process holds it for itself alone (compute mode "
             "exclusive), or it is not ready; nvidia-smi tells. Wait, name another in "
             "CUDA_VISIBLE_DEVICES, or use --device cpu";
    case Trouble::no_kernel_image:
      return "the plug-in holds no kernels for this GPU; build it with its number in "
             "PARE_CUDA_ARCHITECTURES, or use --device cpu";
    case Trouble::out_of_memory:
      return "out of GPU memory; use a smaller --batch, or --device cpu";
    case Trouble::lost:
      return "the GPU is lost to this process until it ends; start again, a training with --resume "
             "and its checkpoint";
    case Trouble::other:
      break;
  }
  return {};
}

}  // namespace pare::cuda
