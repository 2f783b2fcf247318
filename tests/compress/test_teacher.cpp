// A teacher sees the picture as its own model file says, whatever the student's batches look like.
#include <doctest/doctest.h>

#include "compress/distill/distill.h"
#include "optim/trainer.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;

namespace {

Graph described(const Preprocessing& p, uint64_t seed = 3) {
  Graph g = quarters_graph(seed);
  Dataset data = quarters();
  data.preprocessing = p;
  describe_model(g, "net", data);
  return g;
}

Batch batch_of(const Preprocessing& p, const std::string& augment = "") {
  Loader loader(quarters().train, p,
                {.batch = 32, .shuffle = false, .augment = Augmentation::parse(augment)});
  Batch b;
  loader.next(b);
  return b;
}

TrainOptions quick(int64_t epochs) {
  TrainOptions o;
  o.epochs = epochs;
  o.batch = 32;
  o.optimizer = {.name = "adamw", .rate = 0.01};
  o.quiet = true;
  return o;
}

}  // namespace

TEST_CASE("a teacher's answers are those it gives to batches of its own") {
  const Preprocessing own{.mean = {0.1307}, .deviation = {0.3081}}, other{.scale = 1.0 / 128},
      same = quarters().preprocessing;
  for (const Preprocessing& student : {own, other, same})
    for (const Preprocessing& p : {own, other, same}) {
      Graph teacher = described(p), learner = described(student, 5);
      const Teacher asked = teacher_for(teacher, learner);
      for (const char* augment : {"", "shift,flip"}) {  // zeros come in before preprocessing
        const auto expected = teacher(batch_of(p, augment).images, Mode::eval).to_vector<double>();
        const auto got = asked(batch_of(student, augment).images).to_vector<double>();
        for (size_t i = 0; i < got.size(); ++i)
          CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-4));
        if (student == p) CHECK(got == expected);  // to the bit
      }
    }
}

TEST_CASE("teachers of other pixels and classes") {
  Preprocessing floats{.scale = 1, .mean = {0.4}, .deviation = {0.2}};
  floats.pixels = PixelRange{PixelRange::Kind::floats, 0, 1};
  Graph teacher = described(floats), student = described(quarters().preprocessing, 5);
  const Tensor batch = batch_of(quarters().preprocessing).images;
  const auto expected = teacher(batch, Mode::eval).to_vector<double>();
  const auto got = teacher_for(teacher, student)(batch).to_vector<double>();
  for (size_t i = 0; i < got.size(); ++i)
    CHECK(got[i] == doctest::Approx(expected[i]).epsilon(1e-4));

  floats.pixels = PixelRange{PixelRange::Kind::unknown, -0.4, 2.8};
  Graph unknown = described(floats);
  CHECK_THROWS_WITH_AS(teacher_for(unknown, student), doctest::Contains("unknown unit"), Error);
  CHECK_THROWS_WITH_AS(distillation_loss(unknown, student, {}), doctest::Contains("teacher"),
                       Error);
  Graph silent = quarters_graph();
  CHECK_THROWS_WITH_AS(distillation_loss(teacher, silent, {}), doctest::Contains("Trainer"), Error);
  CHECK_NOTHROW(distillation_loss(silent, student, {}));
  Graph turned = described(quarters().preprocessing);
  turned.set_metadata("classes", R"(["d","b","c","a"])");
  CHECK_THROWS_WITH_AS(distillation_loss(turned, student, {}), doctest::Contains("another order"),
                       Error);
}

TEST_CASE("a good teacher does not make its student worse, whatever its preprocessing") {
  Dataset far = quarters();  // dark on light: to it the student's batches are negatives
  far.preprocessing = {.scale = -1.0 / 255, .mean = {-0.4}, .deviation = {0.2}};
  Graph teacher = quarters_graph();
  Trainer(teacher, far, quick(4)).run();
  REQUIRE(evaluate(teacher, quarters().test, far.preprocessing).accuracy > 0.9);
  Graph student = quarters_graph(7);
  Trainer trainer(student, quarters(), quick(4));
  trainer.set_loss(distillation_loss(teacher, student, {.alpha = 0}), true);  // the teacher alone
  trainer.run();
  CHECK(evaluate(student, quarters().test, quarters().preprocessing).accuracy > 0.9);
}
