// A data set that is learned in seconds, and a small network with dropout for it.
#pragma once

#include <memory>
#include <vector>

#include "autograd/graph.h"
#include "core/random.h"
#include "datasets/dataset.h"
#include "layers/layers.h"

namespace pare::testing {

// Four classes of 16x16 images: a bright quarter each, in noise.
inline Examples draw_quarters(int64_t n, uint64_t seed) {
  Examples e{Tensor::empty({n, 1, 16, 16}, DType::u8), Tensor::empty({n}, DType::i32)};
  Rng rng(seed);
  for (int64_t i = 0; i < n; ++i) {
    const auto label = int32_t(rng.below(4));
    e.labels.data<int32_t>()[i] = label;
    for (int64_t y = 0; y < 16; ++y)
      for (int64_t x = 0; x < 16; ++x) {
        const bool bright = (y / 8) * 2 + x / 8 == label;
        e.images.data<uint8_t>()[(i * 16 + y) * 16 + x] =
            uint8_t(rng.below(160) + (bright ? 60 : 0));
      }
  }
  return e;
}

inline const Dataset& quarters() {
  static const Dataset d{.name = "quarters",
                         .train = draw_quarters(320, 1),
                         .test = draw_quarters(200, 2),
                         .classes = {"a", "b", "c", "d"},
                         .preprocessing = {.scale = 1.0 / 255, .mean = {0.4}, .deviation = {0.2}},
                         .augmentation = {}};
  return d;
}

inline std::unique_ptr<Module> quarters_network(uint64_t seed = 3) {
  auto net = std::make_unique<Sequential>();
  net->add<Flatten>("flatten").add<Dense>("fc1", 256, 24, true).add<Dropout>("drop", 0.2);
  net->add<Dense>("fc2", 24, 4);
  initialize(*net, seed);
  return net;
}

inline Graph quarters_graph(uint64_t seed = 3) {
  return capture(*quarters_network(seed), Tensor::zeros({1, 1, 16, 16}));
}

// All parameters in a row.
inline std::vector<float> values_of(Graph& graph) {
  std::vector<float> all;
  for (auto& [name, p] : named_parameters(graph))
    for (const float v : p.value().to_vector<float>()) all.push_back(v);
  return all;
}

}  // namespace pare::testing
