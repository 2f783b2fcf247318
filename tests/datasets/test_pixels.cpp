// What the numbers of images mean: bytes, floats and their range, the order of axes.
#include <doctest/doctest.h>

#include <cmath>

#include "datasets/loader.h"
#include "datasets/npz.h"
#include "tests/support/npz_files.h"

using namespace pare;
using namespace pare::testing;

namespace {

using Kind = PixelRange::Kind;
using Pairs = std::vector<std::pair<double, double>>;

// n images of 2x2 whose elements go evenly from low to high.
template <class T>
Tensor ramp(double low, double high, int64_t n = 8) {
  std::vector<T> v;
  for (int64_t i = 0; i < 4 * n; ++i)
    v.push_back(T(low + (high - low) * double(i) / double(4 * n - 1)));
  return Tensor::from(v, {n, 1, 2, 2});
}
Tensor bytes(double high) { return ramp<uint8_t>(0, high); }

PixelRange seen(const Tensor& images) { return observe_pixels(std::vector{images}); }

Examples labelled(const Tensor& images) {
  std::vector<int32_t> labels(size_t(images.size(0)));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = int32_t(i % 2);
  return {images, Tensor::from(labels, {images.size(0)})};
}

Dataset read(const Tensor& images, const DatasetOptions& options = {}, const Members& more = {}) {
  const Examples e = labelled(images);
  return parse_npz(npz_of(e, e, more), "f.npz", options);
}

}  // namespace

TEST_CASE("what an element is, is told by all values, and is unknown where they do not tell") {
  CHECK(seen(bytes(255)) == PixelRange{Kind::bytes, 0, 255});
  CHECK(seen(bytes(100)) == PixelRange{Kind::bytes, 0, 255});
  CHECK(seen(bytes(1)) == PixelRange{Kind::bytes, 0, 1});
  CHECK(seen(bytes(16)) == PixelRange{Kind::unknown, 0, 16});
  CHECK(seen(ramp<float>(0, 1)) == PixelRange{Kind::floats, 0, 1});
  CHECK(seen(ramp<float>(0.2, 0.8)) == PixelRange{Kind::floats, 0, 1});
  CHECK(seen(ramp<float>(-1, 1)) == PixelRange{Kind::floats, -1, 1});
  CHECK(seen(ramp<float>(0, 255)) == PixelRange{Kind::floats, 0, 255});
  CHECK(seen(bytes(199).to(DType::f32)) == PixelRange{Kind::floats, 0, 255});
  for (const auto& [low, high] : Pairs{{0, 1e-7},
                                       {0, 0.02},
                                       {-0.42, 2.8},
                                       {-0.5, 0.5},
                                       {-0.13, 0.87},
                                       {0, 16},
                                       {0, 4095},
                                       {3, 3}}) {
    CAPTURE(low);
    CAPTURE(high);
    CHECK(!seen(ramp<float>(low, high)).known());
    CHECK(seen(ramp<float>(low, high)).high == doctest::Approx(high));
  }
  // One dark part does not make the unit unknown.
  CHECK(observe_pixels(std::vector{ramp<float>(0, 1), ramp<float>(0, 0.02)}).known());
}

TEST_CASE("a network gets the same numbers for the same picture, whatever holds it") {
  const Tensor b = bytes(255);
  const std::vector<float> as_byte = b.to_vector<float>();
  const auto given = [&](const Preprocessing& p, double factor, double offset) {
    std::vector<float> in, out(as_byte.size());
    for (const float v : as_byte) in.push_back(float(double(v) * factor + offset));
    p.apply(in.data(), out.data(), int64_t(in.size()), 0);
    return out;
  };
  struct Unit {
    PixelRange range;
    double factor, offset;  // from bytes
  };
  const Unit units[] = {{{}, 1, 0},
                        {{Kind::floats, 0, 255}, 1, 0},
                        {{Kind::floats, 0, 1}, 1.0 / 255, 0},
                        {{Kind::floats, -1, 1}, 2.0 / 255, -1},
                        {{Kind::floats, 10, 20}, 10.0 / 255, 10}};
  for (const Unit& model : units)
    for (const Unit& data : units)
      for (const bool standardized : {true, false}) {
        Preprocessing p{.scale = 3, .pixels = model.range};
        if (standardized) p.mean = {0.3}, p.deviation = {0.25};
        const auto expected = given(p, model.factor, model.offset);
        const auto got = given(p.for_pixels(data.range, 1), data.factor, data.offset);
        const double extent = double(expected.back()) - double(expected.front());
        for (size_t i = 0; i < got.size(); ++i)
          CHECK(std::abs(double(got[i]) - double(expected[i])) <= 1e-5 * extent);
      }
  const Preprocessing same{.mean = {0.3}, .deviation = {0.25}, .pixels = PixelRange{}};
  CHECK(same.for_pixels({}, 1) == same);
}

TEST_CASE("numbers of an unknown unit go with their like alone") {
  const PixelRange bytes, floats{Kind::floats, 0, 1}, micro{Kind::unknown, 0, 1e-7},
      standard{Kind::unknown, -0.4, 2.8}, dark{Kind::unknown, 0, 0.3};
  const auto refused = [](const PixelRange& from, const PixelRange& to) {
    CHECK_THROWS_WITH_AS(map_pixels(from, to), doctest::Contains(to_string(from).c_str()), Error);
    CHECK_THROWS_WITH_AS(map_pixels(from, to), doctest::Contains(to_string(to).c_str()), Error);
  };
  refused(micro, bytes);
  refused(bytes, micro);
  refused(floats, standard);
  refused(standard, floats);
  refused(micro, standard);
  refused(standard, micro);
  refused(dark, bytes);
  refused({Kind::unknown, 0, 0.02}, floats);
  refused({Kind::unknown, 0, 16}, bytes);
  refused(standard, {Kind::unknown, 0, 16});
  CHECK(map_pixels(micro, micro).factor == 1);
  CHECK(map_pixels({Kind::unknown, -0.42, 2.6}, standard).factor == 1);
  CHECK(map_pixels(dark, floats).factor == 1);  // the dark ones among pictures of 0..1
}

TEST_CASE("preprocessing says in its JSON what it takes, and nothing else is believed") {
  Preprocessing p{.scale = 1, .mean = {0.5}, .deviation = {0.25}};
  p.pixels = PixelRange{Kind::floats, -1, 1};
  p.axes = "hwc";
  p.size = {1, 28, 30};
  CHECK(Preprocessing::from_json(p.to_json()) == p);
  p.pixels = PixelRange{Kind::unknown, 0, 7.8e-8};
  CHECK(Preprocessing::from_json(p.to_json()) == p);
  const std::string old = R"({"scale":1,"mean":[],"deviation":[])";
  CHECK(!Preprocessing::from_json(old + "}").pixels);
  for (const char* more :
       {R"("pixels":"bytes")", R"("range":[0,1])", R"("pixels":"words","range":[0,1])",
        R"("pixels":"floats","range":[1,0])", R"("pixels":"floats","range":[1,1])",
        R"("pixels":"floats","range":[0])", R"("pixels":"floats","range":[0,1,2])",
        R"("pixels":"floats","range":[0,1e999])", R"("pixels":7,"range":[0,1])", R"("axes":"whc")",
        R"("axes":3)", R"("size":[1,2])", R"("size":[0,2,2])", R"("size":[1.5,2,2])",
        R"("size":"big")", R"("other":1)"}) {
    CAPTURE(more);
    CHECK_THROWS_AS(Preprocessing::from_json(old + "," + more + "}"), Error);
  }
  // Numbers that leave the range of floats are not computed with.
  Preprocessing hostile{.scale = 1, .mean = {0}, .deviation = {1e-300}};
  CHECK_THROWS_WITH_AS(hostile.check_channels(1), doctest::Contains("channel 0"), Error);
  hostile = {.pixels = PixelRange{Kind::floats, 0, 5e-324}};
  CHECK_THROWS_AS(hostile.for_pixels({}, 1), Error);
  hostile.pixels = PixelRange{Kind::floats, -1e308, 1e308};
  CHECK_THROWS_AS(hostile.for_pixels({}, 1), Error);
}

TEST_CASE("a data set whose preprocessing cannot be meant is found") {
  const auto data = [](const Tensor& images, const Preprocessing& p) {
    return Dataset{.name = "mine",
                   .train = labelled(images),
                   .test = labelled(images),
                   .classes = {"a", "b"},
                   .preprocessing = p};
  };
  const auto refused = [&](const Tensor& images, const Preprocessing& p, const char* what) {
    CHECK_THROWS_WITH_AS(check_dataset(data(images, p)), doctest::Contains(what), Error);
    CHECK_THROWS_WITH_AS(Loader(labelled(images), p, {}), doctest::Contains(what), Error);
  };
  const Preprocessing usual{.mean = {0.5}, .deviation = {0.25}};
  Preprocessing whole = usual;
  whole.scale = 1;
  refused(ramp<float>(0, 1), usual, "divides them by 255");
  refused(ramp<float>(0, 1), {}, "divides them by 255");
  refused(ramp<float>(-1, 1), usual, "divides them by 255");
  refused(ramp<float>(0, 255), whole, "scale 1");
  refused(bytes(255), whole, "scale 1");
  Preprocessing said = whole;
  said.pixels = PixelRange{Kind::floats, 0, 1};
  refused(bytes(255), said, "bytes");
  refused(ramp<float>(0, 255), said, "far outside");
  said = usual;
  said.pixels = PixelRange{Kind::floats, 0, 255};
  refused(ramp<float>(0, 1), said, "hardly a value");

  CHECK_NOTHROW(check_dataset(data(bytes(255), usual)));
  CHECK_NOTHROW(check_dataset(data(ramp<float>(0, 255), usual)));
  CHECK_NOTHROW(check_dataset(data(ramp<float>(0, 1), whole)));
  CHECK_NOTHROW(check_dataset(data(bytes(255), {.scale = 1, .mean = {128}, .deviation = {70}})));
  CHECK_NOTHROW(check_dataset(data(bytes(1), {.scale = 1})));
  // A model of black and white bytes takes floats of black and white.
  const Preprocessing bits = read(bytes(1)).preprocessing;
  const auto floats = bits.for_pixels({Kind::floats, 0, 1}, 1);
  CHECK_NOTHROW(check_dataset(data(ramp<float>(0, 1), floats)));
}

TEST_CASE("an archive says what black and white are, in its values or in an array") {
  CHECK(*read(bytes(255)).preprocessing.pixels == PixelRange{});
  CHECK(*read(ramp<float>(0, 1)).preprocessing.pixels == PixelRange{Kind::floats, 0, 1});
  CHECK(!read(ramp<float>(0, 1e-7)).preprocessing.pixels->known());
  const Tensor range = Tensor::from<float>({0, 2}, {2});
  const Members stated{{"pixel_range.npy", npy_of(range, "2,")}};
  CHECK(*read(ramp<float>(0, 0.5), {}, stated).preprocessing.pixels ==
        PixelRange{Kind::floats, 0, 2});
  CHECK(*read(ramp<float>(0, 0.5), {.pixels = PixelRange{.low = 0, .high = 4}}, stated)
             .preprocessing.pixels == PixelRange{Kind::floats, 0, 4});
  const auto refused = [](const Tensor& t, const std::string& shape) {
    CHECK_THROWS_WITH_AS(read(ramp<float>(0, 1), {}, {{"pixel_range.npy", npy_of(t, shape)}}),
                         doctest::Contains("pixel_range"), Error);
  };
  refused(Tensor::from<float>({1, 0}, {2}), "2,");
  refused(Tensor::from<float>({0, INFINITY}, {2}), "2,");
  refused(Tensor::from<float>({0, 1, 2}, {3}), "3,");
  CHECK_THROWS_WITH_AS(read(ramp<float>(0, 100), {}, stated), doctest::Contains("far outside"),
                       Error);
}

TEST_CASE("images of two units in one part are refused") {
  std::vector<float> x;
  for (int i = 0; i < 32; ++i) x.push_back(float(8 * i) / (i < 8 ? 255 : 1));
  CHECK_THROWS_WITH_AS(read(Tensor::from(x, {8, 1, 2, 2})),
                       doctest::Contains("2 of 8 images lie within 0 to 1, the others reach 255"),
                       Error);
  for (int i = 0; i < 8; ++i) x[size_t(i)] = float(i % 2);  // nearly black, in bytes
  CHECK(read(Tensor::from(x, {8, 1, 2, 2})).preprocessing.pixels->high == 255);
}

TEST_CASE("channels of any unit are brought to mean 0 and deviation 1, constant ones stay") {
  for (const auto& [factor, offset] :
       Pairs{{1e-7, 0}, {1e-30, 0}, {1, 4096}, {1e-7, 1e-4}, {1e20, -1e22}, {0.25, 0}}) {
    CAPTURE(factor);
    const Dataset d = read(as_floats({bytes(255), {}}, factor / 255, offset).images);
    const auto& p = d.preprocessing;
    double mean = 0, squares = 0;
    const auto x = d.train.images.to_vector<double>();
    for (const double v : x) mean += v / double(x.size());
    for (const double v : x) squares += (v - mean) * (v - mean) / double(x.size());
    CHECK(p.mean[0] / mean == doctest::Approx(1).epsilon(1e-9));
    CHECK(p.deviation[0] / std::sqrt(squares) == doctest::Approx(1).epsilon(1e-6));
    CHECK(p.deviation[0] != 1);
    std::vector<float> out(x.size());
    p.apply(d.train.images.data<float>(), out.data(), int64_t(out.size()), 0);
    CHECK(double(out.front()) == doctest::Approx(-1.68).epsilon(0.02));
    CHECK(double(out.back()) == doctest::Approx(1.68).epsilon(0.02));
  }
  for (const double constant : {0.0, 0.1, 1e-7, 1e6, 12345.678}) {
    const Dataset d = read(ramp<float>(constant, constant));
    CHECK(d.preprocessing.deviation[0] == 1);
  }
}

TEST_CASE("doubles whose difference floats lose are refused") {
  const auto archive = [](double step) {
    std::string x;
    for (int i = 0; i < 32; ++i) {
      const double v = 1e9 + step * i;
      x.append(reinterpret_cast<const char*>(&v), 8);
    }
    const std::string labels = npy("|u1", "8,", std::string(8, '\0'));
    return zip({{"train_images.npy", npy("<f8", "8, 2, 2", x)},
                {"train_labels.npy", labels},
                {"test_images.npy", npy("<f8", "8, 2, 2", x)},
                {"test_labels.npy", labels}},
               false);
  };
  CHECK_THROWS_WITH_AS(parse_npz(archive(1), "f.npz"), doctest::Contains("subtract"), Error);
  CHECK_NOTHROW(parse_npz(archive(1e6), "f.npz"));
  CHECK_NOTHROW(parse_npz(archive(0), "f.npz"));
}

TEST_CASE("the order of axes is what the shape tells, else it is asked") {
  const auto shaped = [](const Shape& s, const DatasetOptions& o) {
    const Tensor x = Tensor::empty(s, DType::u8);
    for (int64_t i = 0; i < x.elements(); ++i) x.data<uint8_t>()[i] = uint8_t(i * 37);
    return read(x, o);
  };
  const auto shape = [&](const Shape& s, const DatasetOptions& o = {}) {
    return shaped(s, o).train.shape();
  };
  CHECK(shape({4, 3, 8, 9}) == Shape{3, 8, 9});
  CHECK(shape({4, 8, 9, 3}) == Shape{3, 8, 9});
  for (const Shape& s : {Shape{4, 20, 20, 16}, Shape{4, 3, 8, 4}, Shape{4, 16, 16, 16}}) {
    CHECK_THROWS_WITH_AS(shape(s), doctest::Contains("--axes hwc"), Error);
    CHECK_THROWS_WITH_AS(shape(s), doctest::Contains(to_string(s).c_str()), Error);
  }
  CHECK(shape({4, 20, 20, 16}, {.axes = "hwc"}) == Shape{16, 20, 20});
  CHECK(shape({4, 20, 20, 16}, {.axes = "chw"}) == Shape{20, 20, 16});
  CHECK(shape({4, 8, 9, 3}, {.axes = "chw"}) == Shape{8, 9, 3});
  CHECK(shaped({4, 20, 20, 16}, {.axes = "hwc"}).preprocessing.axes == "hwc");
  // A model knows: by the size it takes, else by the order its own data had.
  Preprocessing model;
  model.size = {16, 20, 20};
  CHECK(shape({4, 20, 20, 16}, {.model = model}) == Shape{16, 20, 20});
  model.size = {20, 20, 16};
  CHECK(shape({4, 20, 20, 16}, {.model = model}) == Shape{20, 20, 16});
  model.size = {16, 16, 16};
  CHECK_THROWS_AS(shape({4, 16, 16, 16}, {.model = model}), Error);
  model.axes = "hwc";
  const Dataset d = shaped({4, 16, 16, 16}, {.model = model});
  CHECK(d.preprocessing.axes == "hwc");
  CHECK(int(d.train.images.data<uint8_t>()[1]) == uint8_t(16 * 37));
}

TEST_CASE("classes without an example are named") {
  const Tensor x = bytes(255);
  const auto archive = [&](std::vector<int32_t> labels) {
    const Examples e{x, Tensor::from(labels, {8})};
    return parse_npz(npz_of(e, e), "f.npz");
  };
  CHECK(idle_classes(archive({0, 1, 0, 1, 0, 1, 0, 1})) == "");
  CHECK(idle_classes(archive({1, 2, 1, 2, 1, 2, 1, 2})).starts_with("1 of 3 classes has no"));
  CHECK(idle_classes(archive({0, 4, 0, 4, 0, 4, 0, 4})).starts_with("3 of 5 classes have no"));
}
