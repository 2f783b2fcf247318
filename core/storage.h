// Storage: reference-counted bytes from a caching pool, one pool a device.
//
// A freed block goes back to the free list of its size class and is handed out again, so that after
// the first step of a training loop nothing is asked of the system. Blocks are 64-byte aligned and
// hold undefined bytes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/shape.h"

namespace pare {

struct Storage {
  std::atomic<int32_t> references{0};
  int32_t size_class = 0;
  int32_t reserve = 0;  // the reserve it belongs to; 0: none
  void* data = nullptr;
  size_t capacity = 0;  // bytes
  Device device{};
  Storage* next_free = nullptr;
};

// Intrusive handle.
class StoragePtr {
 public:
  StoragePtr() = default;
  explicit StoragePtr(Storage* s) : storage_(s) { retain(); }
  StoragePtr(const StoragePtr& other) : storage_(other.storage_) { retain(); }
  StoragePtr(StoragePtr&& other) noexcept : storage_(std::exchange(other.storage_, nullptr)) {}
  StoragePtr& operator=(StoragePtr other) noexcept {
    std::swap(storage_, other.storage_);
    return *this;
  }
  ~StoragePtr() { release(); }
  Storage* get() const { return storage_; }
  Storage* operator->() const { return storage_; }
  explicit operator bool() const { return storage_ != nullptr; }
  bool unique() const { return storage_->references.load(std::memory_order_acquire) == 1; }

 private:
  void retain() {
    if (storage_) storage_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void release();
  Storage* storage_ = nullptr;
};

// At least `bytes` bytes on `device`, from its pool. Where the device has no more, the pool's free
// blocks are given back and it is asked once more; then it throws Error{io} with the amounts.
// Error{device} where the device fails otherwise.
StoragePtr allocate_storage(size_t bytes, Device device = {});

struct PoolStatistics {
  size_t live_bytes = 0;          // in use by tensors
  size_t peak_bytes = 0;          // highest live_bytes since reset_peak
  size_t cached_bytes = 0;        // held free for reuse
  size_t system_allocations = 0;  // how often the system was asked
};
PoolStatistics pool_statistics(Device device = {});
void reset_peak(Device device = {});
// Gives the free blocks back to the system and returns their bytes. While a reserve is open it does
// nothing: a CUDA graph that is being recorded may be spoilt by memory that is freed meanwhile.
size_t release_cached(Device device = {});

// Reserves: blocks whose addresses recorded work holds (DeviceGraph). While a reserve is open, what
// the thread that opened it allocates on the device comes from it alone, and returns to it when it
// is freed. Closed, its blocks wait for the replays, until it is dropped and they go back to the
// pool. One may be open at a time.
int32_t open_reserve(Device device);
void close_reserve(Device device);
void drop_reserve(Device device, int32_t reserve);

}  // namespace pare
