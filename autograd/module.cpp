#include "autograd/module.h"

#include <algorithm>

#include "autograd/tape.h"
#include "core/error.h"

namespace pare {
namespace {

// Gives each child the name under which its parent visits it.
struct NameGiver : Visitor {
  std::string* (*scope_of)(Module&);
  void operator()(const std::string&, Param&) override {}
  void operator()(const std::string&, Buffer&) override {}
  void operator()(const std::string& name, Module& child) override {
    *scope_of(child) = name;
    child.visit(*this);
  }
};

// Walks a module, keeping the dotted path.
struct Walk : Visitor {
  std::string prefix;
  void operator()(const std::string& name, Param& p) override { param(prefix + name, p); }
  void operator()(const std::string& name, Buffer& b) override { buffer(prefix + name, b); }
  void operator()(const std::string& name, Module& child) override {
    const size_t length = prefix.size();
    prefix += name + ".";
    child.visit(*this);
    prefix.resize(length);
  }
  virtual void param(const std::string& path, Param& p) = 0;
  virtual void buffer(const std::string&, Buffer&) {}
};

struct Collect : Walk {
  std::vector<std::pair<std::string, Param>> params;
  std::vector<std::pair<std::string, Buffer>> buffers;
  void param(const std::string& path, Param& p) override {
    if (std::none_of(params.begin(), params.end(), [&](auto& q) { return q.second.same_as(p); }))
      params.emplace_back(path, p);
    for (const auto& t : p.inner().transforms) {
      const size_t length = prefix.size();
      prefix = path + ".";
      t->visit(*this);
      prefix.resize(std::min(length, prefix.size()));
    }
  }
  void buffer(const std::string& path, Buffer& b) override {
    if (std::none_of(buffers.begin(), buffers.end(), [&](auto& q) { return q.second.same_as(b); }))
      buffers.emplace_back(path, b);
  }
};

Collect collect(Module& module) {
  Collect c;
  module.visit(c);
  return c;
}

template <class F>
void change_state(Module& module, F&& change) {
  Collect c = collect(module);
  for (auto& [name, p] : c.params) {
    ParamState& s = p.state();
    change(s.value);
    s.grad = Tensor();
    s.has_grad = false;
    for (auto& [slot_name, slot] : s.slots) change(slot);
  }
  for (auto& [name, b] : c.buffers) {
    Tensor t = b.value();
    change(t);
    b.set_value(t);
  }
}

// f(a module), for it and all below it.
template <class F>
void over_modules(Module& module, F f) {
  struct All : Visitor {
    F f;
    explicit All(F of) : f(std::move(of)) {}
    void operator()(const std::string&, Param&) override {}
    void operator()(const std::string&, Buffer&) override {}
    void operator()(const std::string&, Module& child) override {
      f(child);
      child.visit(*this);
    }
  };
  All(std::move(f))("", module);
}

}  // namespace

Tensor Module::operator()(const Tensor& x, Mode mode) {
  if (scope_path().empty() && scope_.empty()) {
    if (!current_recorder_active()) restart_node_names();
    if (!named_) {
      NameGiver giver;
      giver.scope_of = [](Module& m) { return &m.scope_; };
      visit(giver);
      named_ = true;
    }
  }
  const ScopeName scope(scope_);
  return forward(x, mode);
}

void Module::name_child(Module& child, const std::string& name) {
  NameGiver giver;
  giver.scope_of = [](Module& m) { return &m.scope_; };
  giver(name, child);
}

std::vector<std::pair<std::string, Param>> named_parameters(Module& module) {
  return collect(module).params;
}
std::vector<std::pair<std::string, Buffer>> named_buffers(Module& module) {
  return collect(module).buffers;
}

std::vector<Param> parameters(Module& module) {
  std::vector<Param> all;
  for (auto& [name, p] : named_parameters(module)) all.push_back(p);
  return all;
}

int64_t parameter_count(Module& module) {
  int64_t n = 0;
  for (const Param& p : parameters(module)) n += p.inner().value.elements();
  return n;
}

Device device_of(Module& module) {
  Collect all = collect(module);
  if (!all.params.empty()) return all.params.front().second.inner().value.device();
  if (!all.buffers.empty()) return all.buffers.front().second.value().device();
  std::optional<Device> own;
  over_modules(module, [&](const Module& m) {
    if (!own) own = m.own_device();
  });
  return own.value_or(Device{});
}

void to_device(Module& module, Device device) {
  change_state(module, [&](Tensor& t) {
    if (t.defined()) t = t.to(device);
  });
  for (Param& p : parameters(module))
    if (p.state().mask.defined()) p.state().mask = p.state().mask.to(device);
  over_modules(module, [&](Module& m) { m.follow(device); });
}

void to_dtype(Module& module, DType dtype) {
  check(is_float(dtype), "a network's parameters are f32 or f64, not {}", dtype);
  change_state(module, [&](Tensor& t) {
    if (t.defined() && is_float(t.dtype())) t = t.to(dtype);
  });
  over_modules(module, [&](Module& m) { m.follow(dtype); });
}

}  // namespace pare
