// Loader: batches of preprocessed examples, made ahead by one thread of its own.
//
// The order of an epoch is a function of (seed, epoch), an image's augmentation of (seed, epoch,
// its place there): a run resumed at any batch sees what the uninterrupted one saw. Buffers go
// round between the loader and the caller's Batch, so that a loop that keeps one Batch allocates
// nothing after its first epoch.
//
// Examples on a device stay there: one kernel gathers, augments and normalizes a batch from them,
// to the same bits, and only an epoch's order goes to the device. Nothing is prefetched then,
// because the device queues its work anyway.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "datasets/augment.h"
#include "datasets/dataset.h"

namespace pare {

struct Batch {
  Tensor images;  // f32, N,C,H,W, plain; on the device of the examples
  Tensor labels;  // i32, N; likewise
  // Which examples these are: places among the loader's, or what LoaderOptions::indices calls them.
  std::vector<int64_t> indices;
};

struct LoaderOptions {
  int64_t batch = 64;
  bool shuffle = true;
  uint64_t seed = 1;
  Augmentation augment = {};
  bool drop_last = false;  // leave out a last batch that is not full
  bool prefetch = true;    // prepare batches on a thread beside the caller's
  // What Batch::indices calls each example, where they are part of a larger set; empty: its place.
  std::vector<int64_t> indices = {};
};

class Loader {
 public:
  // Throws Error{usage} for a batch size that gives no batch, Error{bad_input} for no examples.
  Loader(Examples examples, Preprocessing preprocessing, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches() const { return batches_; }  // in an epoch
  int64_t examples() const { return examples_.size(); }

  // Begins an epoch, at any time; `first_batch` in [0, batches()] resumes inside it. Without it
  // epoch 0 begins at the first call of next.
  void start_epoch(int64_t epoch, int64_t first_batch = 0);
  // Puts the next batch into `batch`, whose tensors it takes for reuse unless they are still
  // shared; false when the epoch is over. Not for several threads at once.
  bool next(Batch& batch);

 private:
  void fill(Batch& batch, int64_t number);
  void place_images(const Batch& batch, int64_t first) const;  // on the CPU
  void queue_batch(const Batch& batch, int64_t first) const;   // on a device
  void work();

  Examples examples_;
  Preprocessing preprocessing_;
  LoaderOptions options_;
  int64_t batches_ = 0;
  int64_t epoch_ = -1;
  std::vector<int64_t> order_;
  Device device_;
  Tensor device_order_, affine_;  // there: i64, like order_; f32, channels x 2

  // Batches [taken_, made_) of the epoch wait in slots_[number % slots]; while working_, the thread
  // alone fills that of made_.
  std::vector<Batch> slots_;
  std::mutex mutex_;
  std::condition_variable room_, ready_;
  int64_t taken_ = 0, made_ = 0, end_ = 0;
  bool working_ = false, stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace pare
