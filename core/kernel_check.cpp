#include "core/kernel_check.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "core/cpu/isa.h"
#include "core/device_graph.h"
#include "core/element.h"

namespace pare {
namespace {

using Tensors = std::vector<TensorArg>;

// All that a call can read or write: five lists of the arguments in one.
struct Lists {
  Tensors all;
  int starts[5] = {};

  explicit Lists(const KernelArgs& args) {
    const std::pair<const TensorArg*, int> lists[] = {{args.inputs, args.input_count},
                                                      {args.outputs, args.output_count},
                                                      {args.grad_outputs, args.output_count},
                                                      {args.grad_inputs, args.input_count},
                                                      {args.buffers, args.buffer_count}};
    for (int k = 0; k < 5; ++k) {
      starts[k] = int(all.size());
      for (int i = 0; lists[k].first && i < lists[k].second; ++i) all.push_back(lists[k].first[i]);
    }
  }
  // The arguments with these tensors in the place of their own.
  KernelArgs with(KernelArgs args, const Tensors& other) const {
    const TensorArg** lists[] = {&args.inputs, &args.outputs, &args.grad_outputs, &args.grad_inputs,
                                 &args.buffers};
    for (int k = 0; k < 5; ++k)
      if (*lists[k]) *lists[k] = other.data() + starts[k];
    return args;
  }
  std::string name(int i) const {
    static constexpr const char* names[] = {"input", "output", "gradient of output",
                                            "gradient of input", "buffer"};
    int k = 4;
    while (starts[k] > i) --k;
    return std::string(names[k]) + " " + std::to_string(i - starts[k]);
  }
};

size_t bytes_of(const TensorArg& t) { return size_t(t.elements) * size_of(t.dtype); }

// Tensors copied to the host; those that share memory share it in the copy too.
class HostCopy {
 public:
  HostCopy(const Tensors& tensors, Device device) : tensors_(tensors) {
    for (const TensorArg& t : tensors)
      if (t.data && t.elements) blocks_.push_back({address(t), address(t) + bytes_of(t), nullptr});
    std::sort(blocks_.begin(), blocks_.end(),
              [](const Block& a, const Block& b) { return a.begin < b.begin; });
    size_t last = 0;
    for (size_t i = 1; i < blocks_.size(); ++i)
      if (blocks_[i].begin < blocks_[last].end)
        blocks_[last].end = std::max(blocks_[last].end, blocks_[i].end);
      else
        blocks_[++last] = std::move(blocks_[i]);
    if (!blocks_.empty()) blocks_.resize(last + 1);
    for (Block& b : blocks_) {
      const size_t bytes = b.end - b.begin;
      b.host.reset(static_cast<char*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64)));
      copy_bytes(device, b.host.get(), reinterpret_cast<const void*>(b.begin), bytes,
                 device.type == DeviceType::cpu ? Direction::within : Direction::to_host);
    }
    for (TensorArg& t : tensors_) {
      if (!t.data || !t.elements) continue;
      const auto b = std::find_if(blocks_.begin(), blocks_.end(),
                                  [&](const Block& block) { return address(t) < block.end; });
      t.data = b->host.get() + (address(t) - b->begin);
    }
  }
  const Tensors& tensors() const { return tensors_; }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  struct Block {
    uintptr_t begin, end;
    std::unique_ptr<char, Free> host;
  };
  static uintptr_t address(const TensorArg& t) { return reinterpret_cast<uintptr_t>(t.data); }

  std::vector<Block> blocks_;
  Tensors tensors_;
};

class IsaScope {
 public:
  explicit IsaScope(Isa cap) : before_(current_isa()) { set_isa(cap); }
  ~IsaScope() { set_isa(before_); }

 private:
  Isa before_;
};

bool heeds_precision(std::string_view kernel) {
  return kernel.starts_with("dense.") || kernel.starts_with("conv2d.");
}

template <class T>
double magnitude(const TensorArg& t) {
  double most = 0;
  for (int64_t i = 0; i < t.elements; ++i)
    if (const double m = std::abs(double(t.as<T>()[i])); m < INFINITY) most = std::max(most, m);
  return most;
}

}  // namespace

std::string difference(const TensorArg& got, const TensorArg& want) {
  std::string first;
  int64_t wrong = 0;
  with_type(want.dtype, [&](auto tag) {
    using T = decltype(tag);
    const double allowed = is_float(want.dtype) ? 0x1p-16 * magnitude<T>(want) : 0;
    for (int64_t i = 0; i < want.elements; ++i) {
      const auto a = double(got.as<T>()[i]), b = double(want.as<T>()[i]);
      if (a == b || std::abs(a - b) <= allowed || (std::isnan(a) && std::isnan(b))) continue;
      if (wrong++ == 0) first = message("element {} is {} instead of {}", i, a, b);
    }
  });
  return wrong > 1 ? message("{}; {} of {} elements differ", first, wrong, want.elements) : first;
}

Status KernelCheck::call(std::string_view kernel, Device device, KernelFn fn,
                         const KernelArgs& args) {
  const KernelFn reference = kernel_function(kernel, DeviceType::cpu);
  if (!(device == device_) || !reference || DeviceGraph::recording()) return fn(args);
  const Lists lists(args);
  const HostCopy mirror(lists.all, device);
  uint64_t run_key = 0;
  KernelArgs same = lists.with(args, mirror.tensors());
  if (args.run_key && device.type != DeviceType::cpu) {
    copy_bytes(device, &run_key, args.run_key, sizeof run_key, Direction::to_host);
    same.run_key = &run_key;
  }
  if (const Status status = fn(args); status != Status::ok) return status;
  const HostCopy result(lists.all, device);
  Status expected;
  {
    const IsaScope scope(device.type == DeviceType::cpu ? Isa::scalar : current_isa());
    expected = reference(same);
  }
  std::string name(kernel);
  if (args.precision != Precision::fp32 && heeds_precision(kernel))
    name += std::string(" ") + to_string(args.precision);
  KernelVerdict& verdict = verdicts_[name];
  ++verdict.calls;
  if (!verdict.difference.empty()) return Status::ok;
  if (expected != Status::ok) verdict.difference = "the CPU refuses what it was given";
  for (size_t i = 0; verdict.difference.empty() && i < lists.all.size(); ++i) {
    if (!lists.all[i].data) continue;
    const std::string found = difference(result.tensors()[i], mirror.tensors()[i]);
    if (!found.empty()) verdict.difference = lists.name(int(i)) + ", " + found;
  }
  return Status::ok;
}

}  // namespace pare
