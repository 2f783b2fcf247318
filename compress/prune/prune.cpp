#include "compress/prune/prune.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "optim/check_network.h"

namespace pare {
namespace {

struct Candidate {
  float score;
  int64_t index;  // over all blocks of the group
};

// First those that go: masked already, then small scores, then later indices.
bool goes_before(const Candidate& a, const Candidate& b) {
  return a.score != b.score ? a.score < b.score : a.index > b.index;
}

struct Layer {
  PrunableWeight weight;
  BlockGrid grid;
  std::vector<uint8_t> live;  // elements that no mask drops yet
  std::vector<float> worth;   // of every block; -infinity where nothing of it is live
  std::vector<uint8_t> keep;  // the blocks that stay
  int64_t floor = 1;          // how many must
  int64_t count() const { return grid.blocks(); }
};

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<uint8_t> live_elements(const Param& param) {
  const Tensor& mask = param.state().mask;
  return mask.defined() ? mask.to_vector<uint8_t>()
                        : std::vector<uint8_t>(size_t(param.value().elements()), 1);
}

Layer judge(const PrunableWeight& weight, const Criterion& criterion,
            const PruneStructure& structure) {
  const Shape& shape = weight.param.value().shape();
  Layer layer{weight, BlockGrid(shape, structure), live_elements(weight.param), {}, {}};
  const Tensor given = criterion.scores(weight);
  check(given.defined(), "{}: '{}' has no scores", criterion.name(), weight.name);
  check(given.dtype() == DType::f32 && given.shape() == shape,
        "{}: the scores of '{}' are {} {}, expected {} {}", criterion.name(), weight.name,
        given.dtype(), given.shape(), DType::f32, shape);
  const Tensor scores = given.to(Device{}).plain();
  std::vector<double> sums(size_t(layer.count()));
  std::vector<uint8_t> alive(sums.size());
  layer.grid.for_each([&](int64_t i, int64_t block) {
    if (!layer.live[size_t(i)]) return;
    const float s = scores.data<float>()[i];
    check(std::isfinite(s), ErrorCode::bad_input, "{}: element {} of '{}' has the score {}",
          criterion.name(), i, weight.name, s);
    sums[size_t(block)] += double(s);
    alive[size_t(block)] = 1;
  });
  for (size_t b = 0; b < sums.size(); ++b)
    layer.worth.push_back(alive[b] ? float(sums[b] / double(layer.grid.size(int64_t(b))))
                                   : -infinity);
  layer.keep.resize(sums.size(), 1);
  return layer;
}

void check_floor(double sparsity, int64_t gone, int64_t all, int64_t floor) {
  check(gone <= all - floor,
        "prune: a sparsity of {} leaves {} of {} weights or blocks, but {} must stay so that no "
        "layer is emptied; prune less",
        sparsity, all - gone, all, floor);
}

// The candidates of one layer: blocks that the floor protects have an infinite score.
void add_candidates(const Layer& layer, std::vector<Candidate>& all) {
  const auto begin = std::ptrdiff_t(all.size());
  for (const float s : layer.worth) all.push_back({s, int64_t(all.size())});
  const auto protect = all.end() - layer.floor;
  std::nth_element(all.begin() + begin, protect, all.end(), goes_before);
  for (auto c = protect; c != all.end(); ++c)
    if (std::isfinite(c->score)) c->score = infinity;
}

// The first `count` of the candidates of all these layers go, which is a share of `sparsity`.
void choose_together(std::span<Layer> layers, int64_t count, double sparsity) {
  std::vector<Candidate> all;
  int64_t floor = 0;
  for (const Layer& layer : layers) {
    add_candidates(layer, all);
    floor += layer.floor;
  }
  check_floor(sparsity, count, int64_t(all.size()), floor);
  std::nth_element(all.begin(), all.begin() + count, all.end(), goes_before);
  std::vector<uint8_t> keep(all.size(), 1);
  for (int64_t i = 0; i < count; ++i) keep[size_t(all[size_t(i)].index)] = 0;
  auto from = keep.begin();
  for (Layer& layer : layers) {
    std::copy_n(from, layer.count(), layer.keep.begin());
    from += layer.count();
  }
}

// As many blocks of every row go; of those that cannot be shared evenly, the least.
void choose_in_rows(Layer& layer, int64_t gone, double sparsity) {
  check_floor(sparsity, gone, layer.count(), layer.floor);
  const int64_t across = layer.grid.across(), rows = layer.count() / across;
  const int64_t each = gone / rows, rest = gone % rows;
  std::vector<Candidate> row, next;
  for (int64_t first = 0; first < layer.count(); first += across) {
    row.clear();
    for (int64_t b = first; b < first + across; ++b) row.push_back({layer.worth[size_t(b)], b});
    const auto end = row.begin() + each;
    std::nth_element(row.begin(), end, row.end(), goes_before);
    for (auto c = row.begin(); c != end; ++c) layer.keep[size_t(c->index)] = 0;
    if (rest > 0) next.push_back(*end);
  }
  std::nth_element(next.begin(), next.begin() + rest, next.end(), goes_before);
  for (int64_t i = 0; i < rest; ++i) layer.keep[size_t(next[size_t(i)].index)] = 0;
}

// Of every run of M columns in a row the N best stay.
void choose_n_of_m(Layer& layer, const PruneStructure& structure) {
  const BlockGrid& grid = layer.grid;
  std::vector<Candidate> run;
  for (int64_t r = 0; r < grid.rows(); ++r)
    for (int64_t c = 0; c < grid.columns(); c += structure.of) {
      const int64_t length = std::min<int64_t>(structure.of, grid.columns() - c);
      run.clear();
      for (int64_t i = 0; i < length; ++i) {
        const int64_t element = grid.element(r, c + i);
        run.push_back({layer.worth[size_t(element)], element});
      }
      std::sort(run.begin(), run.end(), goes_before);
      const int64_t stay = (length * structure.keep + structure.of - 1) / structure.of;
      for (int64_t i = 0; i < length - stay; ++i) layer.keep[size_t(run[size_t(i)].index)] = 0;
    }
}

// Of the live elements those in blocks that stay.
std::vector<uint8_t> kept_elements(const Layer& layer) {
  std::vector<uint8_t> keep = layer.live;
  layer.grid.for_each(
      [&](int64_t i, int64_t block) { keep[size_t(i)] &= layer.keep[size_t(block)]; });
  return keep;
}

// The sparsity of each layer: kept shares in proportion to (sum of extents) / (product of extents),
// none above 1, such that all together keep what is asked.
std::vector<double> erk_sparsities(const std::vector<Layer>& layers, double sparsity) {
  std::vector<double> raw, kept(layers.size(), 1);
  std::vector<bool> dense(layers.size(), false);
  double total = 0;
  for (const Layer& layer : layers) {
    const Shape& s = layer.weight.param.value().shape();
    double sum = 0;
    for (const int64_t extent : s) sum += double(extent);
    raw.push_back(sum / double(s.elements()));
    total += double(layer.count());
  }
  for (bool again = true; again;) {
    double left = (1 - sparsity) * total, weight = 0;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (dense[i])
        left -= double(layers[i].count());
      else
        weight += raw[i] * double(layers[i].count());
    }
    again = false;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (dense[i]) continue;
      kept[i] = std::max(0.0, left) * raw[i] / weight;
      if (kept[i] >= 1) again = dense[i] = true;
    }
  }
  for (size_t i = 0; i < layers.size(); ++i) kept[i] = dense[i] ? 0 : 1 - kept[i];
  return kept;
}

// How many blocks of each layer go: its share, rounded such that all together are exact. What is
// left of the shares goes where most is left, to layers that still have room.
std::vector<int64_t> shared_out(const std::vector<Layer>& layers,
                                const std::vector<double>& sparsities) {
  std::vector<int64_t> gone;
  std::vector<std::pair<double, size_t>> rests;
  double exact = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const double share = sparsities[i] * double(layers[i].count());
    exact += share;
    gone.push_back(int64_t(share));
    const bool full = gone[i] >= layers[i].count() - layers[i].floor;
    rests.emplace_back(full ? -1 : share - double(gone[i]), i);
  }
  int64_t left = std::llround(exact);
  for (const int64_t count : gone) left -= count;
  std::sort(rests.begin(), rests.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  for (int64_t i = 0; i < left; ++i) ++gone[rests[size_t(i)].second];
  return gone;
}

}  // namespace

PruneScope parse_prune_scope(const std::string& text) {
  static constexpr std::string_view known[] = {"local", "global", "erk", "row"};
  const auto* at = std::find(std::begin(known), std::end(known), text);
  check(at != std::end(known), "'{}' is no scope of pruning{}", text,
        suggest(text, known, std::size(known)));
  return PruneScope(at - std::begin(known));
}

std::vector<PrunedLayer> prune(Graph& graph, const Criterion& criterion,
                               const PruneOptions& options) {
  check(options.sparsity >= 0 && options.sparsity <= 1,
        "prune: sparsity {}, expected a share between 0 and 1", options.sparsity);
  check(options.floor >= 0 && options.floor <= 1,
        "prune: floor {}, expected a share between 0 and 1", options.floor);
  check_initialized(graph, "prune");
  std::vector<Layer> layers;
  const double least = options.floor * (1 - options.sparsity);
  for (const PrunableWeight& w : prunable_weights(graph)) {
    if (options.filter && !options.filter(w)) continue;
    layers.push_back(judge(w, criterion, options.structure));
    layers.back().floor = std::max<int64_t>(1, std::llround(least * double(layers.back().count())));
  }
  check_prunable(graph, "prune");
  check(!layers.empty(), ErrorCode::bad_input, "prune: the filter leaves no weights to prune");
  if (options.structure.is_n_of_m()) {
    for (Layer& layer : layers) choose_n_of_m(layer, options.structure);
  } else if (options.scope == PruneScope::global) {
    int64_t all = 0;
    for (const Layer& layer : layers) all += layer.count();
    choose_together(layers, std::llround(options.sparsity * double(all)), options.sparsity);
  } else {
    const std::vector<double> sparsities =
        options.scope == PruneScope::erk ? erk_sparsities(layers, options.sparsity)
                                         : std::vector<double>(layers.size(), options.sparsity);
    const std::vector<int64_t> gone = shared_out(layers, sparsities);
    for (size_t i = 0; i < layers.size(); ++i)
      if (options.scope == PruneScope::row)
        choose_in_rows(layers[i], gone[i], sparsities[i]);
      else
        choose_together({&layers[i], 1}, gone[i], sparsities[i]);
  }

  // Nothing is masked before everything is known to go.
  std::vector<PrunedLayer> report;
  std::vector<Tensor> masks;
  for (const Layer& layer : layers) {
    const Tensor& value = layer.weight.param.value();
    const std::vector<uint8_t> keep = kept_elements(layer);
    masks.push_back(Tensor::from(keep, value.shape()).to(value.device()));
    report.push_back({layer.weight.name, int64_t(keep.size()),
                      std::count(keep.begin(), keep.end(), uint8_t(1))});
  }
  for (size_t i = 0; i < layers.size(); ++i) layers[i].weight.param.set_mask(masks[i]);
  return report;
}

double sparsity_of(const Graph& graph) {
  int64_t all = 0, kept = 0;
  for (const PrunableWeight& w : prunable_weights(graph)) {
    all += w.param.value().elements();
    const Tensor& mask = w.param.state().mask;
    const auto keep = mask.defined() ? mask.to_vector<uint8_t>() : std::vector<uint8_t>{};
    kept += mask.defined() ? std::count(keep.begin(), keep.end(), uint8_t(1))
                           : w.param.value().elements();
  }
  return all ? 1 - double(kept) / double(all) : 0;
}

double sparsity_after(int round, int rounds, double sparsity) {
  return round == rounds ? sparsity : 1 - std::pow(1 - sparsity, double(round) / rounds);
}

std::vector<PrunedLayer> prune_in_rounds(Graph& graph, Criterion& criterion,
                                         const PruneOptions& options, int rounds,
                                         const std::vector<Batch>& sample) {
  check_prunable(graph, "prune");
  check(rounds >= 1, "prune: {} rounds, expected at least one", rounds);
  std::vector<PrunedLayer> layers;
  PruneOptions now = options;
  for (int round = 1; round <= rounds; ++round) {
    now.sparsity = sparsity_after(round, rounds, options.sparsity);
    if (criterion.needs_data()) criterion.prepare(graph, sample);
    layers = prune(graph, criterion, now);
  }
  return layers;
}

}  // namespace pare
