#include "datasets/loader.h"

#include <algorithm>
#include <numeric>

#include "core/random.h"

namespace pare {
namespace {

// Enough that the caller seldom waits; the thread is woken for half of them at a time.
constexpr int64_t slot_count = 4;

// A tensor of that shape that nobody else reads: `t` itself if it will do.
void reuse(Tensor& t, const Shape& shape, DType dtype) {
  if (t.defined() && t.unique() && t.shape() == shape && t.dtype() == dtype &&
      t.format() == Format::plain && t.device() == Device{})
    t.set_ref({});
  else
    t = Tensor::empty(shape, dtype);
}

}  // namespace

Loader::Loader(Examples examples, Preprocessing preprocessing, LoaderOptions options)
    : examples_(std::move(examples)),
      preprocessing_(std::move(preprocessing)),
      options_(options),
      slots_(options.prefetch ? slot_count : 0) {
  const int64_t n = examples_.size(), batch = options_.batch;
  check(n > 0, ErrorCode::bad_input, "no examples to load");
  check(batch > 0, "batch size {}, expected at least 1", batch);
  preprocessing_.check_channels(examples_.images.size(1));
  batches_ = options_.drop_last ? n / batch : (n - 1) / batch + 1;
  check(batches_ > 0, "a batch of {} is larger than the {} examples there are", batch, n);
  order_.resize(size_t(n));
}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  room_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Loader::start_epoch(int64_t epoch, int64_t first_batch) {
  check(first_batch >= 0 && first_batch <= batches_, "first batch {} of {}", first_batch, batches_);
  std::unique_lock lock(mutex_);
  end_ = made_;
  ready_.wait(lock, [&] { return !working_; });
  if (epoch != epoch_) {
    std::iota(order_.begin(), order_.end(), 0);
    if (options_.shuffle) {
      Rng rng(mix_keys(mix_keys(hash_name("shuffle"), options_.seed), uint64_t(epoch)));
      for (size_t i = order_.size() - 1; i > 0; --i) std::swap(order_[i], order_[rng.below(i + 1)]);
    }
    epoch_ = epoch;
  }
  taken_ = made_ = first_batch;
  end_ = batches_;
  error_ = nullptr;
  if (options_.prefetch && !thread_.joinable()) thread_ = std::thread([this] { work(); });
  room_.notify_one();
}

bool Loader::next(Batch& batch) {
  if (epoch_ < 0) start_epoch(0);
  if (taken_ == batches_) return false;
  if (!options_.prefetch) {
    fill(batch, taken_++);
    return true;
  }
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [&] { return made_ > taken_ || error_; });
  if (made_ == taken_) std::rethrow_exception(error_);
  std::swap(batch, slots_[size_t(taken_++ % slot_count)]);
  const bool wake = made_ - taken_ <= slot_count / 2;
  lock.unlock();
  if (wake) room_.notify_one();
  return true;
}

void Loader::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    room_.wait(lock,
               [&] { return stop_ || (!error_ && made_ < end_ && made_ - taken_ < slot_count); });
    if (stop_) return;
    working_ = true;
    const int64_t number = made_;
    lock.unlock();
    std::exception_ptr error;
    try {
      fill(slots_[size_t(number % slot_count)], number);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    working_ = false;
    error_ = error;
    if (!error && number < end_) ++made_;
    ready_.notify_one();
  }
}

void Loader::fill(Batch& batch, int64_t number) {
  const int64_t first = number * options_.batch;
  const int64_t n = std::min(options_.batch, examples_.size() - first);
  const Shape image = examples_.shape();
  reuse(batch.images, {n, image[0], image[1], image[2]}, DType::f32);
  reuse(batch.labels, {n}, DType::i32);
  batch.indices.assign(order_.begin() + first, order_.begin() + first + n);
  const int64_t pixels = image.elements();
  for (int64_t i = 0; i < n; ++i) {
    const int64_t index = batch.indices[size_t(i)];
    const Placement p = draw_placement(options_.augment, options_.seed, epoch_, index);
    float* out = batch.images.data<float>() + i * pixels;
    if (examples_.images.dtype() == DType::u8)
      place_image(examples_.images.data<uint8_t>() + index * pixels, image, preprocessing_, p, out);
    else
      place_image(examples_.images.data<float>() + index * pixels, image, preprocessing_, p, out);
    batch.labels.data<int32_t>()[i] = examples_.labels.data<int32_t>()[index];
  }
}

}  // namespace pare
