#include "compress/prune/structured/prune_channels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/graph_summary.h"

namespace pare {
namespace {

// A group with its units from worst to best.
struct Ranked {
  const ChannelGroup* group = nullptr;
  std::vector<double> scores;  // empty: nothing to judge by, stays whole
  std::vector<int64_t> order;
  int64_t before = 0;  // units before all rounds
  int64_t floor = 0;   // units that stay
  int64_t units() const { return group->units; }
};

std::vector<Ranked> rank(const Graph& graph, const ChannelAnalysis& analysis,
                         const ChannelCriterion& criterion, const ChannelOptions& options) {
  std::vector<Ranked> all;
  for (const ChannelGroup& g : analysis.groups) {
    Ranked r;
    r.group = &g;
    r.scores = criterion.scores(graph, g);
    check(r.scores.empty() || int64_t(r.scores.size()) == g.units,
          "{}: {} scores for the {} units of '{}'", criterion.name(), r.scores.size(), g.units,
          g.name);
    for (const double s : r.scores)
      check(std::isfinite(s), ErrorCode::bad_input, "prune: a channel of '{}' has the score {}",
            g.name, s);
    r.order.resize(r.scores.size());
    std::iota(r.order.begin(), r.order.end(), 0);
    // Among equal ones the later goes first.
    std::sort(r.order.begin(), r.order.end(), [&](int64_t a, int64_t b) {
      const double x = r.scores[size_t(a)], y = r.scores[size_t(b)];
      return x != y ? x < y : a > b;
    });
    const double mean = std::accumulate(r.scores.begin(), r.scores.end(), 0.0) / double(g.units);
    if (!criterion.comparable() && mean > 0)
      for (double& s : r.scores) s /= mean;
    r.before = g.units;
    for (const PrunedGroup& earlier : options.rounds)
      if (earlier.name == g.name) r.before = earlier.channels / g.channels_per_unit;
    const int64_t floor = std::max<int64_t>(1, std::llround(options.floor * double(r.before)));
    r.floor = r.scores.empty() ? g.units : std::min(floor, g.units);
    all.push_back(std::move(r));
  }
  return all;
}

// The multiples of `round_to` that a group may keep: above its floor, among its units. There may be
// none.
struct Multiples {
  int64_t step = 1, least = 1, most = 0;
};
Multiples multiples(const Ranked& r, int64_t round_to) {
  const int64_t step = round_to / std::gcd(round_to, r.group->channels_per_unit);
  return {step, (r.floor + step - 1) / step * step, r.units() / step * step};
}

// The nearest of them; where there is none, all units.
int64_t rounded(const Ranked& r, int64_t kept, int64_t round_to) {
  const Multiples m = multiples(r, round_to);
  if (kept == r.units() || m.least > m.most) return r.units();
  return std::clamp((2 * kept + m.step) / (2 * m.step) * m.step, m.least, m.most);
}

struct Units {
  int64_t before = 0, now = 0;  // all rounds
};

Units count_units(const std::vector<Ranked>& groups, const std::vector<PrunedGroup>& rounds) {
  Units all;
  for (const Ranked& r : groups) {
    all.before += r.before;
    all.now += r.units();
  }
  for (const PrunedGroup& earlier : rounds)  // with one unit left a group is none any more
    if (std::none_of(groups.begin(), groups.end(),
                     [&](const Ranked& r) { return r.group->name == earlier.name; })) {
      all.before += earlier.channels / earlier.kept;
      ++all.now;
    }
  return all;
}

// Units that each group keeps when `count` go in all; fewer go where floors are in the way.
std::vector<int64_t> allocate(const std::vector<Ranked>& groups, int64_t count,
                              const ChannelOptions& o) {
  std::vector<int64_t> kept;
  for (const Ranked& r : groups) kept.push_back(r.units());
  if (o.scope == PruneScope::local) {
    const Units all = count_units(groups, o.rounds);
    const double gone =
        double(all.before - all.now + count) / double(std::max<int64_t>(1, all.before));
    for (size_t g = 0; g < groups.size(); ++g) {
      const Ranked& r = groups[g];
      kept[g] =
          std::clamp<int64_t>(r.before - std::llround(gone * double(r.before)), r.floor, r.units());
    }
  } else {
    struct Candidate {
      double score;
      size_t group;
      int64_t place;
    };
    std::vector<Candidate> all;
    for (size_t g = 0; g < groups.size(); ++g)
      for (int64_t i = 0; i < groups[g].units() - groups[g].floor; ++i)
        all.push_back({groups[g].scores[size_t(groups[g].order[size_t(i)])], g, i});
    std::sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
      if (a.score != b.score) return a.score < b.score;
      return a.group != b.group ? a.group > b.group : a.place < b.place;
    });
    for (int64_t i = 0; i < std::min(count, int64_t(all.size())); ++i) --kept[all[size_t(i)].group];
  }
  for (size_t g = 0; g < groups.size(); ++g) kept[g] = rounded(groups[g], kept[g], o.round_to);
  return kept;
}

KeptUnits choose(const std::vector<Ranked>& groups, const std::vector<int64_t>& kept) {
  KeptUnits units;
  for (size_t g = 0; g < groups.size(); ++g) {
    auto& flags = units.emplace_back(size_t(groups[g].units()), uint8_t(1));
    for (int64_t i = 0; i < groups[g].units() - kept[g]; ++i)
      flags[size_t(groups[g].order[size_t(i)])] = 0;
  }
  return units;
}

std::vector<int64_t> kept_for_widths(const std::vector<Ranked>& groups,
                                     const ChannelAnalysis& analysis,
                                     const std::vector<int64_t>& widths) {
  check(widths.size() == groups.size(),
        "prune: {} widths for {} groups of channels; one each is needed for: {}", widths.size(),
        groups.size(), list_groups(analysis));
  std::vector<int64_t> kept;
  for (size_t g = 0; g < groups.size(); ++g) {
    const ChannelGroup& group = *groups[g].group;
    check(widths[g] >= 1 && widths[g] <= group.channels(),
          "prune: a width of {} for '{}', which has {} channels", widths[g], group.name,
          group.channels());
    check(widths[g] % group.channels_per_unit == 0,
          "prune: a width of {} for '{}', whose channels go {} at a time", widths[g], group.name,
          group.channels_per_unit);
    kept.push_back(widths[g] / group.channels_per_unit);
    check(kept.back() == group.units || !groups[g].scores.empty(),
          "prune: the method cannot judge '{}' (it has no batch norm); its width must stay {}",
          group.name, group.channels());
  }
  return kept;
}

// The least count of removed units whose network has at most `share` of the MACs.
std::vector<int64_t> kept_for_macs(const Graph& graph, const ChannelAnalysis& analysis,
                                   const std::vector<Ranked>& groups, int64_t total,
                                   const ChannelOptions& o) {
  const auto macs = [&](int64_t count) {
    Graph smaller = without_channels(graph, analysis, choose(groups, allocate(groups, count, o)));
    return summarize(smaller).macs;
  };
  const double all = double(macs(0)), wanted = *o.macs * all;
  int64_t low = 0, high = total;
  const int64_t least = macs(high);
  check(double(least) <= wanted,
        "prune: {} of the MACs cannot be reached; removing all but the floor leaves {} of them",
        *o.macs, double(least) / all);
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (double(macs(middle)) <= wanted)
      high = middle;
    else
      low = middle + 1;
  }
  return allocate(groups, low, o);
}

// The allocation whose removed units, rounded, come nearest to `wanted` of `total`.
std::vector<int64_t> kept_nearest(const std::vector<Ranked>& groups, int64_t wanted, int64_t total,
                                  const ChannelOptions& o) {
  if (o.round_to == 1) return allocate(groups, wanted, o);
  const auto gone = [&](int64_t count) {
    const std::vector<int64_t> kept = allocate(groups, count, o);
    int64_t sum = 0;
    for (size_t g = 0; g < groups.size(); ++g) sum += groups[g].units() - kept[g];
    return sum;
  };
  int64_t low = 0, high = total;  // the least count that removes as many; `total` if none
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (gone(middle) >= wanted)
      high = middle;
    else
      low = middle + 1;
  }
  const int64_t fewer = std::max<int64_t>(0, low - 1);
  return allocate(groups, wanted - gone(fewer) <= gone(low) - wanted ? fewer : low, o);
}

void check_options(const ChannelOptions& o) {
  check(o.sparsity >= 0 && o.sparsity <= 1, "prune: sparsity {}, expected a share between 0 and 1",
        o.sparsity);
  check(!o.macs || (*o.macs > 0 && *o.macs <= 1),
        "prune: {} of the MACs, expected a share above 0 and up to 1", o.macs.value_or(0));
  check(o.floor >= 0 && o.floor <= 1, "prune: floor {}, expected a share between 0 and 1", o.floor);
  check(o.round_to >= 1, "prune: channels rounded to {}, expected at least 1", o.round_to);
  check(o.scope == PruneScope::local || o.scope == PruneScope::global,
        "prune: channels are ranked locally or globally, not by {}",
        o.scope == PruneScope::erk ? "erk" : "row");
}

}  // namespace

std::string list_groups(const ChannelAnalysis& analysis) {
  std::string text;
  for (const ChannelGroup& g : analysis.groups)
    text += message("{}{} {}", text.empty() ? "" : ", ", g.name, g.channels());
  return text;
}

ChannelReport prune_channels(Graph& graph, const ChannelCriterion& criterion,
                             const ChannelOptions& options) {
  check_options(options);
  const ChannelAnalysis analysis = find_channel_groups(graph);
  check(!analysis.groups.empty(), ErrorCode::bad_input,
        "prune: the network has no channels that can go{}{}", analysis.kept.empty() ? "" : "\n",
        describe(graph, analysis));
  const std::vector<Ranked> groups = rank(graph, analysis, criterion, options);
  const Units all = count_units(groups, options.rounds);
  int64_t removable = 0, widest = 0;
  for (const Ranked& r : groups) {
    removable += r.units() - r.floor;
    widest = std::max(widest, r.group->channels());
  }
  check(
      std::any_of(groups.begin(), groups.end(), [](const Ranked& r) { return !r.scores.empty(); }),
      ErrorCode::bad_input, "prune: {} has nothing to judge any channel by: no batch norms",
      criterion.name());
  check(options.round_to <= widest, "prune: channels rounded to {}, but no group has as many: {}",
        options.round_to, list_groups(analysis));

  std::vector<int64_t> kept;
  if (!options.widths.empty()) {
    kept = kept_for_widths(groups, analysis, options.widths);
  } else if (options.macs) {
    kept = kept_for_macs(graph, analysis, groups, all.now, options);
  } else {
    const auto gone = int64_t(std::llround(options.sparsity * double(all.before)));
    const int64_t count = std::max<int64_t>(0, gone - (all.before - all.now));
    check(count <= removable,
          "prune: a sparsity of {} leaves {} of {} channels, but {} must stay so that no layer is "
          "emptied; prune less or lower the floor",
          options.sparsity, all.before - gone, all.before, all.now - removable);
    kept = kept_nearest(groups, count, all.now, options);
  }
  remove_channels(graph, analysis, choose(groups, kept));

  ChannelReport report{.groups = {}, .whole = analysis.kept};
  for (size_t g = 0; g < groups.size(); ++g) {
    const ChannelGroup& group = *groups[g].group;
    report.groups.push_back({group.name, group.channels(), kept[g] * group.channels_per_unit});
    if (groups[g].scores.empty())
      report.whole.push_back(
          {group.name, group.channels(), criterion.name() + " finds no batch norm to judge it by"});
    else if (group.channels() < options.round_to)
      report.whole.push_back(
          {group.name, group.channels(), message("fewer than {} channels", options.round_to)});
    else if (const Multiples m = multiples(groups[g], options.round_to); m.least > m.most)
      report.whole.push_back({group.name, group.channels(),
                              message("no multiple of {} lies above its floor", options.round_to)});
  }
  return report;
}

void add_round(std::vector<PrunedGroup>& rounds, const ChannelReport& report) {
  for (const PrunedGroup& group : report.groups) {
    const auto known = std::find_if(rounds.begin(), rounds.end(),
                                    [&](const PrunedGroup& g) { return g.name == group.name; });
    known == rounds.end() ? rounds.push_back(group) : void(known->kept = group.kept);
  }
}

}  // namespace pare
