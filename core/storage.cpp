#include "core/storage.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>

#include "core/backend.h"

namespace pare {
namespace {

// Four classes an octave: at most a quarter of a block is wasted.
constexpr int class_count = 4 * 48;
constexpr size_t smallest = 64;

int class_of(size_t bytes) {
  if (bytes <= smallest) return 0;
  const int octave = std::bit_width(bytes - 1) - 1;  // 2^octave < bytes <= 2^(octave+1)
  const size_t quarter = size_t(1) << (octave - 2);
  const int step = int((bytes - 1 - (size_t(1) << octave)) / quarter);
  return (octave - 6) * 4 + step + 1;
}
size_t class_bytes(int size_class) {
  if (size_class == 0) return smallest;
  const int octave = (size_class - 1) / 4 + 6, step = (size_class - 1) % 4;
  return (size_t(1) << octave) + size_t(step + 1) * (size_t(1) << (octave - 2));
}

// PARE_POOL=exact, for sanitizers: every block has the size that was asked for and is the device's
// own, given back at once, so that a byte beyond it, or a stale one, is nobody's. (What a recording
// holds, or may spoil it, goes back when that ends.)
const bool exact = [] {
  const char* pool = std::getenv("PARE_POOL");
  return pool && std::string_view(pool) == "exact";
}();

struct FreeList {
  Storage* head[class_count] = {};
};

struct Pool {
  std::mutex mutex;
  FreeList free;
  std::map<int32_t, FreeList> reserves;
  int32_t open = 0, last_reserve = 0;
  std::thread::id opener;
  PoolStatistics statistics;
  decltype(Backend::lend) lend = nullptr;
  decltype(Backend::reclaim) reclaim = nullptr;
};

// Never destroyed: tensors with static lifetime may outlive it.
Pool& pool_of(Device device) {
  static Pool* pools = new Pool[3];
  return pools[int(device.type)];
}

// The list that blocks of a reserve are freed to; that of the pool for a dropped one.
FreeList& list_of(Pool& pool, int32_t reserve) {
  const auto at = pool.reserves.find(reserve);
  return at == pool.reserves.end() ? pool.free : at->second;
}

template <class F>
void each_free(const FreeList& list, F&& f) {
  for (Storage* head : list.head)
    for (Storage* s = head; s;) f(*std::exchange(s, s->next_free));
}

size_t drain(Pool& pool) {
  size_t bytes = 0;
  if (pool.open) return bytes;
  for (Storage*& head : pool.free.head) {
    while (head) {
      Storage* s = std::exchange(head, head->next_free);
      bytes += s->capacity;
      backend_of(s->device).free(s->data);
      delete s;
    }
  }
  pool.statistics.cached_bytes -= bytes;
  return bytes;
}

// A block of the device's, of `capacity` bytes. The pool is locked, but while a recording of
// another thread is waited for, during which nothing can be given back.
void* ask_device(Pool& pool, std::unique_lock<std::mutex>& lock, size_t capacity, Device device) {
  const Backend& backend = backend_of(device);
  pool.lend = backend.lend;
  pool.reclaim = backend.reclaim;
  void* data = nullptr;
  char text[error_length] = "";
  Status status = backend.allocate(capacity, &data, text);
  if (status == Status::out_of_memory) {
    lock.unlock();
    const DeviceTurn turn(device);
    lock.lock();
    drain(pool);
    status = backend.allocate(capacity, &data, text);
  }
  ++pool.statistics.system_allocations;
  if (status == Status::ok) return data;
  check(status == Status::out_of_memory, ErrorCode::device, "allocating {} bytes on {}: {}",
        capacity, device, text);
  fail(ErrorCode::io,
       "out of memory on {}: {} bytes wanted, {} in use by tensors, {} kept for recorded steps; "
       "nothing free is left. Use a smaller --batch{}",
       device, capacity, pool.statistics.live_bytes, pool.statistics.cached_bytes,
       device.type == DeviceType::cpu ? "" : ", or --device cpu");
}

}  // namespace

StoragePtr allocate_storage(size_t bytes, Device device) {
  check(bytes < (size_t(1) << 46), ErrorCode::io, "cannot allocate {} bytes", bytes);
  const int size_class = class_of(bytes);
  Pool& pool = pool_of(device);
  std::unique_lock lock(pool.mutex);
  const int32_t reserve = pool.open && pool.opener == std::this_thread::get_id() ? pool.open : 0;
  Storage*& head = list_of(pool, reserve).head[size_class];
  Storage* s = exact ? nullptr : head;
  if (s) {
    head = s->next_free;
    pool.statistics.cached_bytes -= s->capacity;
  } else {
    const size_t capacity = exact ? std::max<size_t>(bytes, 1) : class_bytes(size_class);
    void* data = ask_device(pool, lock, capacity, device);
    s = new Storage;
    s->reserve = reserve;
    s->data = data;
    s->capacity = capacity;
    s->size_class = size_class;
    s->device = device;
  }
  PoolStatistics& st = pool.statistics;
  st.live_bytes += s->capacity;
  if (st.live_bytes > st.peak_bytes) st.peak_bytes = st.live_bytes;
  // A recording lends a block for several sizes in turn, and a replay uses it for all of them.
  if (pool.lend) pool.lend(s->data, reserve ? s->capacity : bytes, s->capacity);
  return StoragePtr(s);
}

void StoragePtr::release() {
  if (!storage_ || storage_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Pool& pool = pool_of(storage_->device);
  const std::lock_guard lock(pool.mutex);
  pool.statistics.live_bytes -= storage_->capacity;
  pool.statistics.cached_bytes += storage_->capacity;
  const int32_t reserve = storage_->reserve;
  if (reserve && reserve != pool.open && pool.reserves.contains(reserve)) {
    if (pool.lend) pool.lend(storage_->data, storage_->capacity, storage_->capacity);
  } else if (pool.reclaim) {
    pool.reclaim(storage_->data, storage_->capacity);
  }
  Storage*& head = list_of(pool, storage_->reserve).head[storage_->size_class];
  storage_->next_free = head;
  head = storage_;
  if (exact) drain(pool);
}

PoolStatistics pool_statistics(Device device) {
  Pool& pool = pool_of(device);
  const std::lock_guard lock(pool.mutex);
  return pool.statistics;
}

void reset_peak(Device device) {
  Pool& pool = pool_of(device);
  const std::lock_guard lock(pool.mutex);
  pool.statistics.peak_bytes = pool.statistics.live_bytes;
}

size_t release_cached(Device device) {
  Pool& pool = pool_of(device);
  const std::lock_guard lock(pool.mutex);
  return drain(pool);
}

int32_t open_reserve(Device device) {
  Pool& pool = pool_of(device);
  const std::lock_guard lock(pool.mutex);
  check(pool.open == 0, "a step is being recorded on {} already", device);
  pool.open = ++pool.last_reserve;
  pool.opener = std::this_thread::get_id();
  pool.reserves[pool.open];
  return pool.open;
}

void close_reserve(Device device) {
  Pool& pool = pool_of(device);
  const std::lock_guard lock(pool.mutex);
  // Replays write to blocks that no tensor holds.
  if (pool.lend)
    each_free(list_of(pool, pool.open),
              [&](Storage& s) { pool.lend(s.data, s.capacity, s.capacity); });
  pool.open = 0;
}

void drop_reserve(Device device, int32_t reserve) {
  Pool& pool = pool_of(device);
  const std::lock_guard lock(pool.mutex);
  const auto at = pool.reserves.find(reserve);
  if (at == pool.reserves.end()) return;
  each_free(at->second, [&](Storage& s) {
    if (pool.reclaim) pool.reclaim(s.data, s.capacity);
    s.reserve = 0;
    s.next_free = std::exchange(pool.free.head[s.size_class], &s);
  });
  pool.reserves.erase(at);
  if (exact) drain(pool);
}

}  // namespace pare
