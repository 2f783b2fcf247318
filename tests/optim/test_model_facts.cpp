// What a model says of its data, and data brought to it.
#include <doctest/doctest.h>

#include "datasets/npz.h"
#include "optim/trainer.h"
#include "tests/support/npz_files.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;

namespace {

TrainOptions quick() {
  TrainOptions o;
  o.epochs = 3;
  o.batch = 32;
  o.optimizer = {.name = "adamw", .rate = 0.01};
  o.quiet = true;
  return o;
}

// The quarters as an archive holds them: x * factor + offset as floats; factor 0: the bytes.
Dataset archive(double factor, double offset = 0) {
  const Dataset& q = quarters();
  if (factor == 0) return parse_npz(npz_of(q.train, q.test), "q");
  return parse_npz(npz_of(as_floats(q.train, factor, offset), as_floats(q.test, factor, offset)),
                   "q");
}

Graph trained(const Dataset& data) {
  Graph g = quarters_graph();
  Trainer(g, data, quick()).run();
  return g;
}

double accuracy(Graph& g, const Dataset& given) {
  const Dataset data = fit_data(g, given);
  return evaluate(g, data.test, data.preprocessing).accuracy;
}

Dataset renamed(Dataset data, const std::string& name) {
  data.name = name;
  return data;
}

}  // namespace

TEST_CASE("a model trained on one kind of pixels answers the same for every other kind") {
  const Dataset kinds[] = {renamed(archive(0), "bytes"), renamed(archive(1), "255"),
                           renamed(archive(1.0 / 255), "1"), renamed(archive(2.0 / 255, -1), "-1")};
  for (const Dataset& own : kinds) {
    Graph g = trained(own);
    const double expected = evaluate(g, own.test, own.preprocessing).accuracy;
    CHECK(expected > 0.9);
    for (const Dataset& other : kinds) {
      CAPTURE(own.name);
      CAPTURE(other.name);
      Graph h = g.clone();
      CHECK(accuracy(h, other) == doctest::Approx(expected).epsilon(0.006));  // one image
    }
    CHECK_THROWS_WITH_AS(accuracy(g, renamed(archive(1e-9), "nano")), doctest::Contains("unknown"),
                         Error);
  }
}

TEST_CASE("numbers of an unknown unit are learned, and go with themselves alone") {
  const Dataset micro = archive(1e-7 / 255);
  Graph g = trained(micro);
  CHECK(evaluate(g, micro.test, micro.preprocessing).accuracy > 0.9);
  Graph again = g.clone();
  CHECK(accuracy(again, renamed(micro, "again")) > 0.9);
  for (const double factor : {0.0, 1.0, 1.0 / 255})
    CHECK_THROWS_WITH_AS(accuracy(g, renamed(archive(factor), "other")),
                         doctest::Contains("pixel_range"), Error);
  CHECK_THROWS_WITH_AS(picture_preprocessing(g), doctest::Contains("unknown unit"), Error);
  // Stated for the data it was trained on, the model knows.
  Dataset stated = micro;
  stated.preprocessing.pixels = PixelRange{PixelRange::Kind::floats, 0, 1e-7};
  CHECK(accuracy(g, stated) > 0.9);
  CHECK(accuracy(g, renamed(archive(0), "bytes")) > 0.9);
  // Standardized floats are a unit of their own, whatever range they lie in.
  Graph standard = trained(archive(1.0 / 255 / 0.3, -0.4 / 0.3));
  CHECK_THROWS_WITH_AS(accuracy(standard, renamed(archive(1.0 / 255, -0.3), "other")),
                       doctest::Contains("deviation"), Error);
  // Under the same name may stand other numbers by now: they are judged by their values.
  Graph h = trained(archive(1.0 / 255)), k = trained(micro);
  CHECK_THROWS_WITH_AS(accuracy(h, micro), doctest::Contains("unknown unit"), Error);
  CHECK_THROWS_WITH_AS(accuracy(k, archive(0)), doctest::Contains("unknown unit"), Error);
}

TEST_CASE(
    "a trainer writes down what pixels were, and refuses data that are not as the graph says") {
  Graph g = trained(archive(1.0 / 255));
  const auto p = preprocessing_of(g);
  REQUIRE(p);
  CHECK(*p->pixels == PixelRange{PixelRange::Kind::floats, 0, 1});
  CHECK(p->size == Shape{1, 16, 16});
  CHECK(class_names(g) == std::vector<std::string>{"0", "1", "2", "3"});
  CHECK(g.get_metadata("data") == "npz:q");
  CHECK_THROWS_WITH_AS(evaluate(g, quarters().test, quarters().preprocessing),
                       doctest::Contains("fit_data"), Error);
  CHECK_THROWS_WITH_AS(Trainer(g, quarters(), quick()), doctest::Contains("fit_data"), Error);
  CHECK_THROWS_WITH_AS(evaluate(g, quarters().test, *p), doctest::Contains("bytes"), Error);
  const Dataset fitted = fit_data(g, quarters());
  CHECK_NOTHROW(Trainer(g, fitted, quick()));
  // Filled by hand, with nothing said.
  Graph h = quarters_graph();
  const Examples floats = as_floats(quarters().train, 1.0 / 255);
  Dataset mine{.name = "mine",
               .train = floats,
               .test = floats,
               .classes = {"a", "b", "c", "d"},
               .preprocessing = {}};
  CHECK_THROWS_WITH_AS(Trainer(h, mine, quick()), doctest::Contains("divides them by 255"), Error);
  mine.preprocessing.scale = 1;
  CHECK_NOTHROW(Trainer(h, mine, quick()));
  CHECK(*preprocessing_of(h)->pixels == PixelRange{PixelRange::Kind::floats, 0, 1});
}

TEST_CASE("the classes are the model's, and so are their names") {
  Graph g = trained(quarters());
  CHECK(class_names(g) == std::vector<std::string>{"a", "b", "c", "d"});
  // Without the last class.
  std::vector<int64_t> kept, tested;
  for (int64_t i = 0; i < quarters().train.size(); ++i)
    if (quarters().train.labels.data<int32_t>()[i] < 3) kept.push_back(i);
  for (int64_t i = 0; i < quarters().test.size(); ++i)
    if (quarters().test.labels.data<int32_t>()[i] < 3) tested.push_back(i);
  const Dataset three =
      parse_npz(npz_of(quarters().train.slice(kept), quarters().test.slice(tested)), "three");
  REQUIRE(three.classes.size() == 3);
  const Dataset data = fit_data(g, three);
  CHECK(data.classes == std::vector<std::string>{"a", "b", "c", "d"});
  CHECK(class_names(g) == data.classes);
  CHECK(g.get_metadata("data") == "npz:three");
  CHECK(evaluate(g, data.test, data.preprocessing).accuracy > 0.9);
  CHECK(evaluate(g, data.test, data.preprocessing).examples == int64_t(tested.size()));
  // A label beyond the last.
  Dataset more = archive(0);
  more.train.labels = more.train.labels.clone();
  more.train.labels.data<int32_t>()[7] = 4;
  CHECK_THROWS_WITH_AS(fit_data(g, more), doctest::Contains("label 4 of example 7"), Error);
  // The same names in another order.
  Dataset turned = quarters();
  std::swap(turned.classes[0], turned.classes[3]);
  CHECK_THROWS_WITH_AS(fit_data(g, turned), doctest::Contains("another order"), Error);
}

TEST_CASE("another unit stated for the same numbers is refused") {
  Graph g = trained(archive(1.0 / 255));
  Dataset same = archive(1.0 / 255);
  same.preprocessing.pixels = PixelRange{PixelRange::Kind::floats, 0, 255};
  CHECK_THROWS_WITH_AS(
      fit_data(g, same),
      "the images: they are floats, black 0 and white 255 as stated here; the same numbers were "
      "floats, black 0 and white 1 in training",
      Error);
  CHECK(accuracy(g, archive(1)) > 0.9);  // the same archive, whose numbers are others now
}

TEST_CASE("names of data take the place of a model's numbers in a training alone") {
  const std::vector<std::string> numbers{"0", "1", "2", "3"}, letters{"a", "b", "c", "d"};
  Graph g = trained(archive(0));
  CHECK(fit_data(g, quarters()).classes == numbers);
  CHECK(class_names(g) == numbers);
  CHECK(other_class_names(g, quarters())
            .starts_with("class 0 is '0' in the model and 'a' in quarters"));
  CHECK(other_class_names(g, archive(0)).empty());  // numbers are no names
  adopt_class_names(g, archive(0));
  CHECK(class_names(g) == numbers);
  adopt_class_names(g, quarters());
  CHECK(class_names(g) == letters);
  CHECK(other_class_names(g, quarters()).empty());
  CHECK(fit_data(g, quarters()).classes == letters);
  Dataset others = quarters();
  others.classes = {"w", "x", "y", "z"};
  adopt_class_names(g, others);
  CHECK(class_names(g) == letters);
}

TEST_CASE("files of older versions say nothing of pixels, and are taken for what their data were") {
  Graph g = trained(quarters());
  const std::string bytes = R"({"scale":0.00392156862745098,"mean":[0.4],"deviation":[0.2]})";
  const std::string whole = R"({"scale":1,"mean":[0.4],"deviation":[0.2]})";
  g.set_metadata("preprocessing", bytes);
  CHECK(preprocessing_of(g)->pixels == PixelRange{});
  CHECK(picture_preprocessing(g).deviation == std::vector<double>{0.2});
  g.set_metadata("preprocessing", whole);
  CHECK(!preprocessing_of(g)->pixels);
  CHECK_THROWS_WITH_AS(picture_preprocessing(g), doctest::Contains("--epochs 0"), Error);
  CHECK_THROWS_WITH_AS(fit_data(g, archive(0)), doctest::Contains("older pare"), Error);
  // Data that are standardized alike are of its kind; afterwards the model says so.
  CHECK(accuracy(g, archive(1.0 / 255)) > 0.9);
  CHECK(*preprocessing_of(g)->pixels == PixelRange{PixelRange::Kind::floats, 0, 1});
  CHECK(picture_preprocessing(g).scale == doctest::Approx(1.0 / 255));
  // What contradicts the network is refused.
  g.set_metadata("preprocessing", bytes.substr(0, bytes.size() - 1) + R"(,"size":[3,16,16]})");
  CHECK_THROWS_WITH_AS(preprocessing_of(g), doctest::Contains("3x16x16"), Error);
  g.set_metadata("preprocessing", R"({"scale":1,"mean":[0,0],"deviation":[]})");
  CHECK_THROWS_WITH_AS(fit_data(g, archive(0)), doctest::Contains("2 entries"), Error);
}
