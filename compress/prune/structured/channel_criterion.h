// What a channel is worth: one class per criterion of structured pruning. A new one is a class with
// scores() and, where it looks at data, prepare(); see docs/structured-pruning.md.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compress/prune/structured/channel_groups.h"
#include "datasets/loader.h"

namespace pare {

class ChannelCriterion {
 public:
  virtual ~ChannelCriterion() = default;
  virtual std::string name() const = 0;
  // Whether scores() needs prepare() first.
  virtual bool needs_data() const { return false; }
  // Looks at labelled batches; changes neither parameters nor buffers.
  virtual void prepare(Graph&, const ChannelAnalysis&, const std::vector<Batch>&) {}
  // One score a unit, larger is kept; finite. Empty where the group has nothing to judge by: it
  // stays whole.
  virtual std::vector<double> scores(const Graph& graph, const ChannelGroup& group) const = 0;
  // Whether scores of different groups compare as they are. Others are divided by their group's
  // mean before groups are ranked together.
  virtual bool comparable() const { return false; }
};

// The norm of a unit's filters, sum |w| (order 1, Li et al. 2017) or sqrt(sum w^2) (order 2): the
// mean over the layers that share the unit.
class FilterNorm : public ChannelCriterion {
 public:
  explicit FilterNorm(int order) : order_(order) {}
  std::string name() const override { return order_ == 1 ? "magnitude" : "magnitude-l2"; }
  std::vector<double> scores(const Graph& graph, const ChannelGroup& group) const override;

 private:
  int order_;
};

// mean over batches |dL/dgate|, the gate a factor of 1 on the channel (Molchanov et al. 2017,
// 2019): gamma dL/dgamma + beta dL/dbeta where a norm follows, else sum of w dL/dw over filter and
// bias; summed over the layers that share the unit.
class GateTaylor : public ChannelCriterion {
 public:
  std::string name() const override { return "taylor"; }
  bool needs_data() const override { return true; }
  bool comparable() const override { return true; }
  void prepare(Graph& graph, const ChannelAnalysis& analysis,
               const std::vector<Batch>& batches) override;
  std::vector<double> scores(const Graph& graph, const ChannelGroup& group) const override;

 private:
  std::map<std::string, std::vector<double>> scores_;  // by group
};

// mean |gamma| of the norms that scale the channel (network slimming, Liu et al. 2017). Groups
// without a norm stay whole.
class NormScale : public ChannelCriterion {
 public:
  std::string name() const override { return "bn-scale"; }
  bool comparable() const override { return true; }
  std::vector<double> scores(const Graph& graph, const ChannelGroup& group) const override;
};

// sum over the other units of the distance between filters, |F_i - F_j|_2: what lies near the
// geometric median is replaceable by the rest (FPGM, He et al. 2019).
class GeometricMedian : public ChannelCriterion {
 public:
  std::string name() const override { return "fpgm"; }
  std::vector<double> scores(const Graph& graph, const ChannelGroup& group) const override;
};

// sum w^2 of everything that goes with the unit, filters, biases, norms and the weights that read
// it: the mean over those tensors (DepGraph's group norm, Fang et al. 2023).
class GroupNorm : public ChannelCriterion {
 public:
  std::string name() const override { return "group"; }
  std::vector<double> scores(const Graph& graph, const ChannelGroup& group) const override;
};

// Uniform noise, the control that any other criterion must beat.
class RandomChannels : public ChannelCriterion {
 public:
  explicit RandomChannels(uint64_t seed = 1) : seed_(seed) {}
  std::string name() const override { return "random"; }
  bool comparable() const override { return true; }
  std::vector<double> scores(const Graph& graph, const ChannelGroup& group) const override;

 private:
  uint64_t seed_;
};

// The criterion known by `name`; an unknown one is Error{usage} with close names.
std::unique_ptr<ChannelCriterion> make_channel_criterion(const std::string& name,
                                                         uint64_t seed = 1);
// Their names: magnitude, magnitude-l2, taylor, bn-scale, fpgm, group, random.
std::vector<std::string_view> channel_criterion_names();

}  // namespace pare
