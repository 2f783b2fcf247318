// Runs that go on: with what they learned from, with more epochs, beside their checkpoint alone.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "autograd/graph_file.h"
#include "core/fingerprint.h"
#include "core/json.h"
#include "optim/history.h"
#include "optim/interrupt.h"
#include "optim/trainer.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("pare runs " + std::to_string(::getpid()));
  Folder() { fs::create_directories(path / "sub"); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};

TrainOptions options(const std::string& out, int64_t epochs = 2) {
  return {.epochs = epochs,
          .batch = 64,
          .optimizer = {.name = "sgd", .rate = 0.02},
          .out = out,
          .quiet = true};
}

// A run that is stopped in its second epoch.
void stop(const std::string& out) {
  const InterruptScope scope;
  Graph g = quarters_graph();
  Trainer trainer(g, quarters(), options(out));
  trainer.relies_on("teacher", 7);
  trainer.on_step([](int64_t step, int64_t) {
    if (step == 6) std::raise(SIGHUP);
  });
  REQUIRE(trainer.run().interrupted);
}

// A copy whose tensors are its own.
Dataset copy(const Dataset& data) {
  Dataset d = data;
  for (Tensor* t : {&d.train.images, &d.train.labels, &d.test.images, &d.test.labels})
    *t = t->clone();
  return d;
}

}  // namespace

TEST_CASE("a run goes on with what it learned from, and says what changed") {
  const Folder f;
  stop(f / "m.pare");
  const auto go_on = [&](const Dataset& data, uint64_t teacher = 7) {
    Checkpoint c = load_checkpoint(f / "m.pare.ckpt");
    Trainer trainer(c, data);
    trainer.relies_on("teacher", teacher);
  };
  go_on(copy(quarters()));
  const auto refuses = [&](const Dataset& data, const char* what, uint64_t teacher = 7) {
    CAPTURE(what);
    try {
      go_on(data, teacher);
      CHECK(false);
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::bad_input);
      CHECK(std::string(e.what()).find(std::string("its ") + what + " changed") !=
            std::string::npos);
    }
  };
  Dataset d = copy(quarters());
  d.train.labels.data<int32_t>()[5] ^= 1;
  refuses(d, "training labels");
  d = copy(quarters());
  d.train.images.data<uint8_t>()[12345] ^= 1;
  refuses(d, "training images");
  refuses(quarters(), "teacher", 8);
}

TEST_CASE("another test part changes nothing of a run that goes on, which is noted") {
  const Folder f;
  stop(f / "m.pare");
  const auto go_on = [&](const Dataset& data, const char* out) {
    Checkpoint c = load_checkpoint(f / "m.pare.ckpt");
    c.options.out = f / out;
    c.options.quiet = true;
    Trainer trainer(c, data);
    trainer.relies_on("teacher", 7);
    trainer.run();
    return trainer.test_part_changed();
  };
  CHECK_FALSE(go_on(copy(quarters()), "same.pare"));
  for (const bool labels : {false, true}) {
    Dataset d = copy(quarters());
    if (labels)
      d.test.labels.data<int32_t>()[0] ^= 1;
    else
      d.test.images.data<uint8_t>()[0] ^= 1;
    CHECK(go_on(d, "other.pare"));
    Graph same = load_graph(f / "same.pare"), other = load_graph(f / "other.pare");
    CHECK(values_of(same) == values_of(other));
    // And still so when that run is resumed, for what it began with.
    CHECK(load_checkpoint(f / "other.pare.ckpt").fingerprints ==
          load_checkpoint(f / "m.pare.ckpt").fingerprints);
  }
}

TEST_CASE("a checkpoint of an older version goes on, whatever the data") {
  const Folder f;
  stop(f / "m.pare");
  Checkpoint c = load_checkpoint(f / "m.pare.ckpt");
  CHECK(c.fingerprints.size() == 5);
  c.fingerprints.clear();
  Dataset d = copy(quarters());
  d.train.labels.data<int32_t>()[5] ^= 1;
  CHECK_NOTHROW(Trainer(c, d));
}

TEST_CASE("fingerprints tell elements, shapes and types apart") {
  const Tensor a = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2});
  CHECK(fingerprint(a) == fingerprint(a.clone()));
  CHECK(fingerprint(a) != fingerprint(Tensor::from(std::vector<float>{1, 2, 3, 5}, {2, 2})));
  CHECK(fingerprint(a) != fingerprint(Tensor::from(std::vector<float>{1, 2, 3, 4}, {4, 1})));
  CHECK(fingerprint(Tensor::zeros({4})) != fingerprint(Tensor::zeros({4}, DType::i32)));
  CHECK(fingerprint(Tensor()) == 0);
}

TEST_CASE("a finished run takes more epochs with a schedule of their own, and stops and goes on") {
  const Folder f;
  const InterruptScope scope;
  Graph g = quarters_graph();
  Trainer(g, quarters(), options(f / "m.pare")).run();
  const auto longer = [&](const char* out, int64_t stop_at) {
    Checkpoint c = load_checkpoint(f / "m.pare.ckpt");
    REQUIRE(c.finished());
    c.options.out = f / out;
    c.options.quiet = true;
    extend(c, 5);
    Trainer trainer(c, quarters());
    trainer.on_step([&](int64_t step, int64_t) {
      if (step == stop_at) std::raise(SIGINT);
    });
    return trainer.run();
  };
  const TrainReport whole = longer("whole.pare", -1);
  REQUIRE(whole.epochs.size() == 5);
  // The cosine ends twice: in epoch 2 and in epoch 5. The added epochs begin at the full rate.
  CHECK(whole.epochs[1].rate < 0.01);
  CHECK(whole.epochs[2].rate > 0.01);
  CHECK(whole.epochs[4].rate < whole.epochs[3].rate);
  CHECK(trained_epochs(load_graph(f / "m.pare")) == 2);
  CHECK(trained_epochs(load_graph(f / "whole.pare")) == 5);
  CHECK(longer("cut.pare", 14).interrupted);
  {
    const InterruptScope again;
    Checkpoint c = load_checkpoint(f / "cut.pare.ckpt");
    c.options.quiet = true;
    CHECK_THROWS_WITH_AS(extend(c, 9), doctest::Contains("when it is finished"), Error);
    const TrainReport report = Trainer(c, quarters()).run();
    for (size_t i = 0; i < 5; ++i) {
      CHECK(report.epochs[i].rate == whole.epochs[i].rate);
      CHECK(report.epochs[i].loss == whole.epochs[i].loss);
    }
  }
  Checkpoint c = load_checkpoint(f / "m.pare.ckpt");
  CHECK_THROWS_WITH_AS(extend(c, 2), doctest::Contains("adds none"), Error);
}

TEST_CASE("a checkpoint writes beside itself, whatever path stands in it") {
  const Folder f;
  stop(f / "sub/m.pare");
  fs::rename(f.path / "sub/m.pare.ckpt", f.path / "saved");
  CHECK(load_checkpoint(f / "saved").options.out.empty());
  fs::rename(f.path / "saved", f.path / "n.pare.ckpt");
  CHECK(load_checkpoint(f / "n.pare.ckpt").options.out == f / "n.pare");
  fs::rename(f.path / "n.pare.ckpt", f.path / "sub/saved");
  CHECK(load_checkpoint(f / "sub/saved").options.out == f / "sub/m.pare");
}

TEST_CASE("a training keeps what its three files would replace") {
  const Folder f;
  const auto train = [&](const std::string& out) {
    Graph g = quarters_graph();
    Trainer(g, quarters(), options(out, 1)).run();
  };
  const auto refuses = [&](const std::string& out, ErrorCode code) {
    CAPTURE(out);
    try {
      train(out);
      CHECK(false);
    } catch (const Error& e) {
      CHECK(e.code() == code);
    }
  };
  train(f / "m.pare");
  refuses(f / "m.pare.ckpt", ErrorCode::usage);
  refuses(f / "m.pare.csv", ErrorCode::usage);
  fs::create_directory(f.path / "a.pare.ckpt");
  fs::create_directory(f.path / "b.pare.csv");
  refuses(f / "a.pare", ErrorCode::io);
  refuses(f / "b.pare", ErrorCode::io);
  fs::create_symlink("m.pare", f.path / "c.pare.ckpt");
  refuses(f / "c.pare", ErrorCode::usage);
  RunFiles files;
  const RunFilesScope scope(files);
  train(f / "m.pare");  // again
  const Container read(f / "sub/../m.pare");
  CHECK_THROWS_AS(files.writes(f / "m.pare.csv", "--svg", FileKind::svg), Error);
}

namespace {

// The exit code of a process that runs `f`.
template <class F>
int exit_code(F&& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    f();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("a second signal ends the process, by the handler that was there before where one was") {
  const auto twice = [](void (*before)(int), int signal) {
    return exit_code([&] {
      std::signal(SIGINT, before);
      const InterruptScope scope;
      const InterruptScope inner;  // the same
      std::raise(signal);
      if (!interrupted()) ::_exit(1);
      std::raise(signal);
    });
  };
  const auto seven = [](int) { ::_exit(7); };
  CHECK(twice(seven, SIGINT) == 7);
  CHECK(twice(seven, SIGTERM) == 7);
  CHECK(twice(SIG_DFL, SIGINT) == 130);
  CHECK(twice(SIG_IGN, SIGTERM) == 130);
  CHECK(twice(seven, SIGHUP) == 0);  // a terminal that closes sends more than one
}
