#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "core/storage.h"
#include "datasets/loader.h"

using namespace pare;

namespace {

// Image i holds the value i everywhere but in its corner, which is 200; label i % 7.
Examples numbered(int64_t n) {
  Examples e{Tensor::full({n, 1, 6, 5}, 0, DType::u8), Tensor::empty({n}, DType::i32)};
  for (int64_t i = 0; i < n; ++i) {
    std::fill_n(e.images.data<uint8_t>() + i * 30, 30, uint8_t(i));
    e.images.data<uint8_t>()[i * 30] = 200;
    e.labels.data<int32_t>()[i] = int32_t(i % 7);
  }
  return e;
}

struct Seen {
  std::vector<int64_t> indices;
  std::vector<float> pixels;
};

Seen epoch(Loader& loader, int64_t number, int64_t first = 0) {
  Seen seen;
  Batch b;
  loader.start_epoch(number, first);
  while (loader.next(b)) {
    CHECK(b.images.size(0) == int64_t(b.indices.size()));
    for (size_t i = 0; i < b.indices.size(); ++i)
      CHECK(b.labels.data<int32_t>()[i] == b.indices[i] % 7);
    seen.indices.insert(seen.indices.end(), b.indices.begin(), b.indices.end());
    const auto p = b.images.to_vector<float>();
    seen.pixels.insert(seen.pixels.end(), p.begin(), p.end());
  }
  return seen;
}

}  // namespace

TEST_CASE("every example comes once an epoch, preprocessed, in an order of its own") {
  const Preprocessing p{.scale = 0.5, .mean = {10}, .deviation = {2}};
  Loader loader(numbered(50), p, {.batch = 8, .seed = 3});
  CHECK(loader.batches() == 7);
  const Seen first = epoch(loader, 0), second = epoch(loader, 1), again = epoch(loader, 0);
  CHECK(std::set(first.indices.begin(), first.indices.end()).size() == 50);
  CHECK(first.indices != second.indices);
  CHECK(first.indices == again.indices);
  CHECK(first.pixels == again.pixels);
  for (size_t i = 0; i < 50; ++i)
    CHECK(first.pixels[i * 30 + 1] == doctest::Approx((double(first.indices[i]) * 0.5 - 10) / 2));
  Loader dropping(numbered(50), p, {.batch = 8, .drop_last = true});
  CHECK(epoch(dropping, 0).indices.size() == 48);
  Loader ordered(numbered(5), p, {.batch = 2, .shuffle = false});
  CHECK(epoch(ordered, 4).indices == std::vector<int64_t>{0, 1, 2, 3, 4});
}

TEST_CASE(
    "a part of a set keeps its pixels and its augmentation when it has the indices of the whole") {
  const Split split = hold_out(numbered(50), 0.2);
  REQUIRE(split.train_indices.size() == 40);
  const auto of = [&](std::vector<int64_t> indices) {
    Loader loader(split.train, {},
                  {.batch = 8, .augment = Augmentation::parse("shift"), .indices = indices});
    Seen seen;
    Batch b;
    while (loader.next(b)) {
      seen.indices.insert(seen.indices.end(), b.indices.begin(), b.indices.end());
      const auto p = b.images.to_vector<float>();
      seen.pixels.insert(seen.pixels.end(), p.begin(), p.end());
      for (size_t i = 0; i < b.indices.size() && !indices.empty(); ++i)
        CHECK(b.labels.data<int32_t>()[i] == b.indices[i] % 7);
    }
    return seen;
  };
  const Seen whole = of(split.train_indices), part = of({});
  CHECK(whole.pixels == part.pixels);
  for (size_t i = 0; i < 40; ++i)
    CHECK(whole.indices[i] == split.train_indices[size_t(part.indices[i])]);
  CHECK_THROWS_WITH_AS(of({1, 2}), doctest::Contains("2 indices for 40 examples"), Error);
}

TEST_CASE("resuming inside an epoch, prefetch and batch size change nothing") {
  const auto options = [](int64_t batch, bool prefetch) {
    return LoaderOptions{.batch = batch,
                         .seed = 9,
                         .augment = Augmentation::parse("shift,flip"),
                         .prefetch = prefetch};
  };
  Loader one(numbered(40), {}, options(8, true));
  const Seen whole = epoch(one, 5), rest = epoch(one, 5, 3);
  CHECK(rest.indices == std::vector<int64_t>(whole.indices.begin() + 24, whole.indices.end()));
  CHECK(rest.pixels == std::vector<float>(whole.pixels.begin() + 24 * 30, whole.pixels.end()));
  Loader plain(numbered(40), {}, options(8, false)), wide(numbered(40), {}, options(20, true));
  CHECK(epoch(plain, 5).pixels == whole.pixels);
  CHECK(epoch(wide, 5).pixels == whole.pixels);
  CHECK(epoch(one, 6).pixels != whole.pixels);
}

TEST_CASE("a loader may be left in the middle of an epoch, and holds a few batches, not more") {
  for (int i = 0; i < 50; ++i) {
    Loader loader(numbered(40), {}, {.batch = 4});
    Batch b;
    for (int j = 0; j < i % 5; ++j) loader.next(b);
  }
  Loader loader(numbered(64), {}, {.batch = 16});
  Batch b;
  const size_t before = pool_statistics().system_allocations;
  for (int64_t e = 0; e < 40; ++e) {
    loader.start_epoch(e);
    while (loader.next(b)) {
    }
  }
  // Images and labels of at most four batches made ahead and the caller's one.
  CHECK(pool_statistics().system_allocations - before <= 10);
}

TEST_CASE("the held-out part is fixed, disjoint and of the size asked for") {
  const Examples all = numbered(200);
  const Split split = hold_out(all, 0.1);
  CHECK(split.held_out.size() == 20);
  CHECK(split.train.size() == 180);
  const auto indices = held_out_indices(200, 0.1);
  CHECK(std::is_sorted(indices.begin(), indices.end()));
  CHECK(indices == held_out_indices(200, 0.1));
  for (size_t i = 0; i < indices.size(); ++i)
    CHECK(split.held_out.images.data<uint8_t>()[i * 30 + 1] == uint8_t(indices[i]));
  CHECK(hold_out(all, 0).held_out.size() == 0);
  CHECK(hold_out(numbered(3), 0.01).held_out.size() == 1);
  CHECK_THROWS_AS(hold_out(all, 1), Error);
}

TEST_CASE("what does not fit is refused") {
  CHECK_THROWS_AS(Loader(numbered(5), {}, {.batch = 0}), Error);
  CHECK_THROWS_AS(Loader(Examples{}, {}, {}), Error);
  CHECK_THROWS_WITH_AS(Augmentation::parse("flp"), doctest::Contains("flip"), Error);
  Examples bad = numbered(5);
  bad.labels.data<int32_t>()[3] = 7;
  CHECK_THROWS_WITH_AS(check_examples(bad, 7, "mine"), doctest::Contains("mine"), Error);
  CHECK_THROWS_AS(check_examples(Examples{}, 7, "mine"), Error);
  CHECK_THROWS_AS(Preprocessing::from_json("{\"scale\":1}"), Error);
  CHECK_THROWS_AS(Preprocessing::from_json("{\"scale\":1,\"mean\":[],\"deviation\":[0]}"), Error);
  const Preprocessing p{.scale = 1.0 / 255, .mean = {0.1307}, .deviation = {0.3081}};
  CHECK(Preprocessing::from_json(p.to_json()) == p);
  CHECK_THROWS_WITH_AS(load_dataset("mnits"), doctest::Contains("'mnist'"), Error);
  CHECK_THROWS_WITH_AS(load_dataset("mnist", {.dir = "/no/such"}),
                       doctest::Contains("/no/such/mnist"), Error);
}
