#include "datasets/loader.h"

#include <algorithm>
#include <numeric>

#include "core/denormals.h"
#include "core/random.h"
#include "core/tensor_arg.h"

namespace pare {
namespace {

// Enough that the caller seldom waits; the thread is woken for half of them at a time.
constexpr int64_t slot_count = 4;

// A tensor of that shape that nobody else reads: `t` itself if it will do.
void reuse(Tensor& t, const Shape& shape, DType dtype, Device device) {
  if (t.defined() && t.unique() && t.shape() == shape && t.dtype() == dtype &&
      t.format() == Format::plain && t.device() == device)
    t.set_ref({});
  else
    t = Tensor::empty(shape, dtype, Format::plain, device);
}

Tensor affine_of(const Preprocessing& preprocessing, int64_t channels) {
  const Tensor t = Tensor::empty({channels, 2});
  for (int64_t c = 0; c < channels; ++c) {
    const auto [a, b] = preprocessing.affine(c);
    t.data<float>()[2 * c] = a;
    t.data<float>()[2 * c + 1] = b;
  }
  return t;
}

}  // namespace

Loader::Loader(Examples examples, Preprocessing preprocessing, LoaderOptions options)
    : examples_(std::move(examples)),
      preprocessing_(std::move(preprocessing)),
      options_(std::move(options)),
      device_(examples_.images.device()) {
  const int64_t n = examples_.size(), batch = options_.batch;
  check(n > 0, ErrorCode::bad_input, "no examples to load");
  check(batch > 0, "batch size {}, expected at least 1", batch);
  check(options_.indices.empty() || int64_t(options_.indices.size()) == n,
        "{} indices for {} examples, expected one each, or none", options_.indices.size(), n);
  preprocessing_.check_channels(examples_.images.size(1));
  check_pixels(examples_, preprocessing_, "the images of a loader");
  batches_ = options_.drop_last ? n / batch : (n - 1) / batch + 1;
  check(batches_ > 0, "a batch of {} is larger than the {} examples there are", batch, n);
  order_.resize(size_t(n));
  if (device_ != Device{}) {
    options_.prefetch = false;
    affine_ = affine_of(preprocessing_, examples_.images.size(1)).to(device_);
  }
  if (options_.prefetch) slots_.resize(size_t(slot_count));
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
    if (device_ != Device{})
      device_order_ = Tensor::from(order_, {int64_t(order_.size())}).to(device_);
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
  reuse(batch.images, {n, image[0], image[1], image[2]}, DType::f32, device_);
  reuse(batch.labels, {n}, DType::i32, device_);
  batch.indices.assign(order_.begin() + first, order_.begin() + first + n);
  if (!options_.indices.empty())
    for (int64_t& i : batch.indices) i = options_.indices[size_t(i)];
  if (device_ == Device{})
    place_images(batch, first);
  else
    queue_batch(batch, first);
}

void Loader::place_images(const Batch& batch, int64_t first) const {
  const FlushDenormals flush;  // as in the kernel that does this on a device
  const Shape image = examples_.shape();
  const int64_t pixels = image.elements();
  for (size_t i = 0; i < batch.indices.size(); ++i) {
    const int64_t index = order_[size_t(first) + i];
    const Placement p = draw_placement(options_.augment, options_.seed, epoch_, index);
    float* out = batch.images.data<float>() + int64_t(i) * pixels;
    if (examples_.images.dtype() == DType::u8)
      place_image(examples_.images.data<uint8_t>() + index * pixels, image, preprocessing_, p, out);
    else
      place_image(examples_.images.data<float>() + index * pixels, image, preprocessing_, p, out);
    batch.labels.data<int32_t>()[i] = examples_.labels.data<int32_t>()[index];
  }
}

void Loader::queue_batch(const Batch& batch, int64_t first) const {
  static const Kernel kernel("make_batch");
  const TensorArg in[] = {tensor_arg(examples_.images), tensor_arg(examples_.labels),
                          tensor_arg(device_order_.rows(first, first + batch.labels.size(0))),
                          tensor_arg(affine_)};
  const TensorArg out[] = {tensor_arg(batch.images), tensor_arg(batch.labels)};
  const Attrs attrs =
      Attrs().set("shift", int64_t(options_.augment.shift)).set("flip", options_.augment.flip);
  KernelArgs args;
  args.inputs = in;
  args.outputs = out;
  args.input_count = 4;
  args.output_count = 2;
  args.attrs = &attrs;
  args.key = augmentation_key(options_.seed, epoch_);
  kernel(device_, args);
}

}  // namespace pare
