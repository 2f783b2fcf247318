#include "compress/prune/data_criteria.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "autograd/tape.h"

namespace pare {
namespace {

constexpr int64_t most_examples = 128;  // that are looked at one by one

void forget_gradients(Graph& graph) {
  for (Param& p : parameters(graph)) p.clear_grad();
}

std::vector<Batch> single_examples(const std::vector<Batch>& batches) {
  std::vector<Batch> singles;
  for (const Batch& b : batches)
    for (int64_t i = 0; i < b.labels.size(0) && int64_t(singles.size()) < most_examples; ++i)
      singles.push_back({b.images.rows(i, i + 1), b.labels.rows(i, i + 1), {}});
  return singles;
}

}  // namespace

void for_each_gradient(Graph& graph, const std::vector<Batch>& batches,
                       const std::function<void(int64_t)>& look) {
  for (size_t b = 0; b < batches.size(); ++b) {
    forget_gradients(graph);
    {
      Tape tape;
      tape.backward(softmax_cross_entropy(graph(batches[b].images, Mode::eval), batches[b].labels));
    }
    look(int64_t(b));
  }
  forget_gradients(graph);
}

void GradientCriterion::prepare(Graph& graph, const std::vector<Batch>& batches) {
  check(!batches.empty(), "{}: no data to take gradients from", name());
  sums_.clear();
  const auto weights = prunable_weights(graph);
  for_each_gradient(graph, by_example() ? single_examples(batches) : batches, [&](int64_t) {
    for (const PrunableWeight& w : weights) {
      Sums& s = sums_[w.name];
      const auto n = size_t(w.param.value().elements());
      for (auto* list : {&s.plain, &s.absolute, &s.squared}) list->resize(n);
      ++s.batches;
      if (!w.param.has_grad()) continue;
      const auto g = w.param.grad().to_vector<double>();
      for (size_t i = 0; i < n; ++i) {
        s.plain[i] += g[i];
        s.absolute[i] += std::fabs(g[i]);
        s.squared[i] += g[i] * g[i];
      }
    }
  });
}

const GradientCriterion::Sums& GradientCriterion::sums(const PrunableWeight& weight) const {
  const auto it = sums_.find(weight.name);
  check(it != sums_.end(), "{}: has not seen '{}'; call prepare with data first", name(),
        weight.name);
  return it->second;
}

Tensor Taylor::scores(const PrunableWeight& weight) const {
  const Sums& s = sums(weight);
  return score_elements(weight, [&](double w, int64_t i) {
    return std::fabs(w) * s.absolute[size_t(i)] / double(s.batches);
  });
}

Tensor Snip::scores(const PrunableWeight& weight) const {
  const Sums& s = sums(weight);
  return score_elements(weight, [&](double w, int64_t i) {
    return std::fabs(w * s.plain[size_t(i)]) / double(s.batches);
  });
}

Tensor Fisher::scores(const PrunableWeight& weight) const {
  const Sums& s = sums(weight);
  return score_elements(weight, [&](double w, int64_t i) {
    return w * w * s.squared[size_t(i)] / double(2 * s.batches);
  });
}

void Wanda::prepare(Graph& graph, const std::vector<Batch>& batches) {
  check(!batches.empty(), "wanda: no data to take activations from");
  norms_.clear();
  const auto weights = prunable_weights(graph);
  // The same graph with the layers' inputs as its outputs; parameters are shared by reference.
  Graph inputs = graph.clone();
  inputs.outputs.clear();
  for (const PrunableWeight& w : weights) {
    const GraphNode& node = inputs.nodes[size_t(inputs.find_node(w.node))];
    inputs.outputs.push_back(node.inputs[0]);
    norms_[w.name].groups = node.attrs.has("groups") ? node.attrs.integer("groups") : 1;
  }
  inputs.changed();
  for (const Batch& b : batches) {
    const std::vector<Tensor> xs = inputs.run(b.images);
    for (size_t k = 0; k < weights.size(); ++k) {
      auto& squares = norms_[weights[k].name].squares;
      const int64_t n = xs[k].size(0), channels = xs[k].size(1);
      const auto x = xs[k].to_vector<float>();
      const int64_t pixels = xs[k].elements() / (n * channels);
      squares.resize(size_t(channels));
      for (int64_t i = 0; i < xs[k].elements(); ++i)
        squares[size_t(i / pixels % channels)] += double(x[size_t(i)]) * double(x[size_t(i)]);
    }
  }
}

Tensor Wanda::scores(const PrunableWeight& weight) const {
  const auto it = norms_.find(weight.name);
  check(it != norms_.end(), "wanda: has not seen '{}'; call prepare with data first", weight.name);
  const Norms& norms = it->second;
  const Shape& s = weight.param.value().shape();  // [out, in / groups, ...]
  const int64_t window = s.elements() / (s[0] * s[1]), per_group = s[0] / norms.groups;
  return score_elements(weight, [&](double w, int64_t i) {
    const int64_t out = i / (window * s[1]), in = i / window % s[1];
    return std::fabs(w) * std::sqrt(norms.squares[size_t(out / per_group * s[1] + in)]);
  });
}

}  // namespace pare
