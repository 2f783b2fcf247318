// Module: something with a forward pass and named state. One visit() line per member names what it
// owns; parameters, saving, cloning, printing and compression all go through it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/param.h"
#include "autograd/run.h"

namespace pare {

class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void operator()(const std::string& name, Param& param) = 0;
  virtual void operator()(const std::string& name, Buffer& buffer) = 0;
  virtual void operator()(const std::string& name, Module& module) = 0;
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  // Modules move, they do not copy.
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual Tensor forward(const Tensor& x, Mode mode) = 0;
  // Names every parameter, buffer and child: visitor("weight", weight).
  virtual void visit(Visitor& visitor) = 0;

  // What it holds besides parameters and buffers, such as a graph's constants: where that lies, if
  // there is any; and that it follows after to_device and to_dtype.
  virtual std::optional<Device> own_device() const { return std::nullopt; }
  virtual void follow(Device) {}
  virtual void follow(DType) {}

  // forward() under this module's scope name, which errors and node names carry.
  Tensor operator()(const Tensor& x, Mode mode = Mode::eval);

 protected:
  // Names a child, and those below it, that joins after visit() may have been walked.
  static void name_child(Module& child, const std::string& name);

 private:
  std::string scope_;  // name given by the parent's visit; "" at the root
  bool named_ = false;
};

// Every parameter (buffer) with its path ("features.0.weight"), in visiting order; tied ones appear
// once, under their first name.
std::vector<std::pair<std::string, Param>> named_parameters(Module& module);
std::vector<std::pair<std::string, Buffer>> named_buffers(Module& module);
std::vector<Param> parameters(Module& module);
int64_t parameter_count(Module& module);
// Where its first parameter lies, else its first buffer, else a graph's first constant; the CPU
// without any.
Device device_of(Module& module);
// Moves parameters, masks, slots, buffers, and the constants of graphs.
void to_device(Module& module, Device device);
// Converts parameters, slots, floating-point buffers, and the constants of graphs, to f32 or f64.
void to_dtype(Module& module, DType dtype);

}  // namespace pare
