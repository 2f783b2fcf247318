#include <doctest/doctest.h>

#include "autograd/graph.h"
#include "autograd/ops.h"
#include "autograd/tape.h"

using namespace pare;

namespace {

// Two parameters, one tied use, a reshape: enough to see names and symbolic extents.
struct Fold : Module {
  Tensor forward(const Tensor& x, Mode) override {
    if (reads) (void)x.to_vector<float>();
    const Tensor flat = flatten(x);
    return reshape(flat, {x.size(0) * (branch && x.size(0) == 3 ? 2 : 1), -1, 2});
  }
  void visit(Visitor&) override {}
  bool reads = false, branch = false;
};

}  // namespace

TEST_CASE("capture keeps the batch symbolic and replays at any batch") {
  Fold fold;
  Graph g = capture(fold, Tensor::zeros({1, 2, 3, 4}));
  CHECK(g.nodes.size() == 2);
  CHECK(g.values[size_t(g.input)].shape.symbolic == 1);
  std::vector<float> values(5 * 24);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i);
  const Tensor x = Tensor::from(values, {5, 2, 3, 4});
  const Tensor y = g(x);
  CHECK(y.shape() == Shape{5, 12, 2});
  CHECK(y.to_vector<float>() == values);
  CHECK_THROWS_WITH_AS(g(Tensor::zeros({1, 2, 3, 5})), doctest::Contains("the input is 1x2x3x5"),
                       Error);
}

TEST_CASE("capture refuses programs that read values or change with the batch") {
  Fold fold;
  fold.reads = true;
  CHECK_THROWS_WITH_AS(capture(fold, Tensor::zeros({1, 2, 3, 4})),
                       doctest::Contains("reads a tensor's values"), Error);
  fold.reads = false;
  fold.branch = true;
  CHECK_THROWS_WITH_AS(capture(fold, Tensor::zeros({1, 2, 3, 4})), doctest::Contains("batch"),
                       Error);
}

TEST_CASE("verify names what is wrong with a graph") {
  Fold fold;
  Graph g = capture(fold, Tensor::zeros({1, 2, 3, 4}));
  Graph broken = g.clone();
  std::swap(broken.nodes[0], broken.nodes[1]);
  CHECK_THROWS_WITH_AS(broken.verify(), doctest::Contains("before it is made"), Error);
  broken = g.clone();
  broken.outputs = {99};
  CHECK_THROWS_AS(broken.verify(), Error);
}
