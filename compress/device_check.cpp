#include "compress/device_check.h"

#include <algorithm>
#include <map>

#include "autograd/ops.h"
#include "core/device.h"
#include "core/device_graph.h"
#include "core/kernel_check.h"
#include "core/tensor_arg.h"

namespace pare {
namespace {

using Outcome = KernelReport::Outcome;
using Tensors = std::vector<Tensor>;

std::string difference_of(const Tensors& got, const Tensors& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    const Tensor a = got[i].to(Device{}).plain(), b = want[i].plain();
    const std::string found = difference(tensor_arg(a), tensor_arg(b));
    if (!found.empty()) return message("result {}, {}", i, found);
  }
  return {};
}

std::vector<Precision> precisions_of(Device device) {
  if (backend_of(device).properties.capability < 80) return {Precision::fp32};
  return {Precision::fp32, Precision::tf32, Precision::bf16};
}

// Runs every case on the device, kernel by kernel under watch.
class Checked {
 public:
  explicit Checked(Device device) : device_(device), kernels_(device) {
    for (const CheckCase& c : check_cases()) run(c);
  }
  KernelReport report(const std::string& kernel) const {
    if (const auto own = results_.find(kernel); own != results_.end() && !own->second.empty())
      return {kernel, Outcome::differs, own->second};
    std::string found;
    int64_t calls = 0;
    for (const auto& [name, verdict] : kernels_.verdicts())
      if (name == kernel) calls += verdict.calls, found = verdict.difference;
    if (!found.empty()) return {kernel, Outcome::differs, found};
    if (calls > 0 || (results_.contains(kernel) && !compared(kernel)))
      return {kernel, Outcome::ok, {}};
    return {kernel, Outcome::not_checked, lost_.empty() ? "no case calls it" : lost_};
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names = kernels_on(device_);
    for (const auto& [name, verdict] : kernels_.verdicts()) names.push_back(name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
  const std::string& lost() const { return lost_; }

 private:
  void run(const CheckCase& c) {
    if (!lost_.empty()) return;
    std::string& found = results_[c.kernel];
    const bool product = c.kernel.starts_with("dense.") || c.kernel.starts_with("conv2d.");
    try {
      const Tensors want = c.run({});
      for (const Precision precision :
           product ? precisions_of(device_) : std::vector{Precision::fp32}) {
        const PrecisionScope scope(precision);
        const std::string now = difference_of(c.run(device_), want);
        // Where a kernel was found wrong, it is why.
        if (found.empty() && (!any_differs() || !compared(c.kernel))) found = now;
      }
    } catch (const Error& e) {
      if (found.empty()) found = e.what();
      try {
        synchronize(device_);
      } catch (const Error& end) {
        lost_ = end.what();
      }
    }
  }

  static bool compared(const std::string& kernel) {
    return kernel_function(kernel, DeviceType::cpu) != nullptr;
  }
  bool any_differs() const {
    return std::any_of(kernels_.verdicts().begin(), kernels_.verdicts().end(),
                       [](const auto& v) { return !v.second.difference.empty(); });
  }

  Device device_;
  KernelCheck kernels_;
  std::map<std::string, std::string> results_;  // of cases: what differs
  std::string lost_;                            // why the device computes no more
};

Tensor ramp(const Shape& shape, int step, int modulus) {
  std::vector<float> v(size_t(shape.elements()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = float(int(i) * step % modulus - modulus / 2) * 0.25f;
  return Tensor::from(v, shape);
}

// Recorded once, replayed with other values in the tensors that it reads.
KernelReport check_replay(Device device) {
  KernelReport report{"a replay", Outcome::ok, {}};
  if (!DeviceGraph::supported(device))
    return {report.kernel, Outcome::not_checked, "the device records no work"};
  try {
    const Tensor w = ramp({6, 4, 3, 3}, 5, 13), m = ramp({3, 6 * 5 * 4}, 7, 11),
                 bias = Tensor::zeros({3}), there = w.to(device), matrix = m.to(device),
                 zero = bias.to(device), x = ramp({2, 4, 5, 4}, 1, 9).to(device);
    const auto net = [](const Tensor& in, const Tensor& filters, const Tensor& rows,
                        const Tensor& b) {
      return dense(flatten(conv2d(in, filters, {}, {.padding = 1, .relu = true})), rows, b);
    };
    DeviceGraph graph;
    Tensor y;
    const std::string refused = graph.record(device, [&] { y = net(x, there, matrix, zero); });
    if (!refused.empty()) return {report.kernel, Outcome::differs, refused};
    for (const int step : {3, 4}) {
      const Tensor values = ramp({2, 4, 5, 4}, step, 9);
      x.copy_from(values.to(device));
      graph.replay();
      const std::string found = difference_of({y}, {net(values, w, m, bias)});
      if (!found.empty()) return {report.kernel, Outcome::differs, found};
    }
    return report;
  } catch (const Error& e) {
    return {report.kernel, Outcome::differs, e.what()};
  }
}

}  // namespace

std::vector<KernelReport> check_device(Device device) {
  backend_of(device);
  std::vector<KernelReport> reports;
  const Checked checked(device);
  for (const std::string& name : checked.names()) reports.push_back(checked.report(name));
  if (device.type != DeviceType::cpu)
    reports.push_back(checked.lost().empty()
                          ? check_replay(device)
                          : KernelReport{"a replay", Outcome::not_checked, checked.lost()});
  return reports;
}

}  // namespace pare
