// The dialect's body for the host compiler; see cuda/device.h for what each name means.
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <tuple>
#include <utility>

#include "cuda/emulation/global.h"
#include "cuda/emulation/memory.h"
#include "cuda/emulation/recording.h"
#include "cuda/emulation/scheduler.h"
#include "cuda/emulation/shared.h"
#include "cuda/failure.h"

#define PARE_KERNEL static
#define PARE_DEVICE
#define PARE_UNROLL
#define PARE_SHARED(T, name, count) \
  static const char name##_tag = 0; \
  const ::pare::cuda::Shared<T> name = ::pare::cuda::emulation::static_array<T>(&name##_tag, count)

namespace pare::cuda {

// Remembers where the launch stands, for messages.
struct Dim : emulation::Index {
  emulation::Location where;
  Dim(int64_t width, int64_t height = 1, int64_t depth = 1,
      emulation::Location at = emulation::Location::current())
      : Index{int(width), int(height), int(depth)}, where(at) {}
};
struct Items {
  int64_t count;
  emulation::Location where;
  Items(int64_t n, emulation::Location at = emulation::Location::current()) : count(n), where(at) {}
  Dim grid(int64_t blocks) const { return {blocks, 1, 1, where}; }
};
struct Stream {};

inline int thread_x() { return emulation::self->at.x; }
inline int thread_y() { return emulation::self->at.y; }
inline int thread_z() { return emulation::self->at.z; }
inline int block_x() { return emulation::block_at.x; }
inline int block_y() { return emulation::block_at.y; }
inline int block_z() { return emulation::block_at.z; }
inline int block_width() { return emulation::block_size.x; }
inline int block_height() { return emulation::block_size.y; }
inline int block_depth() { return emulation::block_size.z; }
inline int grid_width() { return emulation::grid_size.x; }
inline int grid_height() { return emulation::grid_size.y; }
inline int grid_depth() { return emulation::grid_size.z; }
inline int thread_number() { return emulation::self->number; }

template <int N, class T>
Vector<T, N> load(const T* p, emulation::Location where = emulation::Location::current()) {
  if (uintptr_t(p) % sizeof(Vector<T, N>)) emulation::fault("a vector load is not aligned", where);
  Vector<T, N> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <int N, class T>
void store(T* p, const Vector<T, N>& v,
           emulation::Location where = emulation::Location::current()) {
  if (uintptr_t(p) % sizeof v) emulation::fault("a vector store is not aligned", where);
  std::memcpy(p, &v, sizeof v);
}

template <class T>
inline const T* fixed(const T* p) {
  return p;
}

template <class T>
struct Shared {
  using Location = emulation::Location;
  char* p = nullptr;
  int64_t count = 0, begin = 0;  // elements from p on, and before it

  // Carries the place of the access: operator[] takes one argument only.
  struct Place {
    int64_t i;
    Location where;
    template <std::integral I>
    Place(I index, Location at = Location::current()) : i(index), where(at) {}
  };

  emulation::Element<T> operator[](Place place) const {
    return {at(place.i, 1, place.where), place.where};
  }
  template <int N>
  Vector<T, N> load(int i, Location where = Location::current()) const {
    return emulation::Element<Vector<T, N>>(at(i, N, where), where);
  }
  template <int N>
  void store(int i, const Vector<T, N>& v, Location where = Location::current()) const {
    emulation::Element<Vector<T, N>>(at(i, N, where), where) = v;
  }
  Shared operator+(int n) const { return {p + n * int64_t(sizeof(T)), count - n, begin + n}; }

  char* at(int64_t i, int n, const Location& where) const {
    if (i < -begin || i + n > count)
      emulation::fault("element " + std::to_string(begin + i) + " of a shared array of " +
                           std::to_string(begin + count),
                       where);
    char* element = p + i * int64_t(sizeof(T));
    if (n > 1 && uintptr_t(element) % (size_t(n) * sizeof(T)))
      emulation::fault("a vector access of shared memory is not aligned", where);
    return element;
  }
};

namespace emulation {
template <class T>
Shared<T> static_array(const void* tag, int64_t count, Location where = Location::current()) {
  return {static_bytes(tag, size_t(count) * sizeof(T), where), count, 0};
}
template <class T>
struct Lane {
  T value;
  int from;  // the lane it reads
  const Location* where;
  bool outside = false;
};
// Lane l gets the value of lane `from`.
template <class T>
T exchange(T v, int from, uint32_t mask, const Location& where) {
  Lane<T> mine{v, from, &where};
  meet_warp(
      mask, &mine,
      [](void* const* payloads, uint32_t lanes) {
        T values[32];
        for (int l = 0; l < 32; ++l)
          if (lanes >> l & 1) values[l] = static_cast<Lane<T>*>(payloads[l])->value;
        for (int l = 0; l < 32; ++l) {
          if (!(lanes >> l & 1)) continue;
          auto& lane = *static_cast<Lane<T>*>(payloads[l]);
          if (lanes >> (lane.from & 31) & 1)
            lane.value = values[lane.from & 31];
          else
            lane.outside = true;
        }
      },
      where);
  if (mine.outside)
    fault("reads lane " + std::to_string(from & 31) + ", which does not take part", where);
  return mine.value;
}
inline int own_lane() { return self->number % 32; }
}  // namespace emulation

template <class T>
Shared<T> dynamic_shared(int offset = 0,
                         emulation::Location where = emulation::Location::current()) {
  size_t bytes = 0;
  char* p = emulation::dynamic_bytes(size_t(offset), bytes, where);
  return {p, int64_t(bytes / sizeof(T)), 0};
}

inline void barrier(emulation::Location where = emulation::Location::current()) {
  emulation::meet_block(where);
}
inline void warp_barrier(uint32_t mask = full_mask,
                         emulation::Location where = emulation::Location::current()) {
  emulation::meet_warp(mask, nullptr, [](void* const*, uint32_t) {}, where);
  ++emulation::self->warp_barriers;
}
template <class T>
T shuffle_xor(T v, int bits, uint32_t mask = full_mask,
              emulation::Location where = emulation::Location::current()) {
  return emulation::exchange(v, emulation::own_lane() ^ bits, mask, where);
}
template <class T>
concept AtomicInteger = std::is_integral_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);
template <AtomicInteger T>
T atomic_min(T* p, std::type_identity_t<T> v) {
  const emulation::Atomically unwatched;
  return std::exchange(*p, *p < v ? *p : v);
}
// An undefined result has the bits that a GPU's units give it; a plain operator's are the host's.
inline float fma(float a, float b, float c) {
  const float d = std::fma(a, b, c);
  return d == d ? d : std::bit_cast<float>(0x7fffffffu);
}
inline double fma(double a, double b, double c) { return std::fma(a, b, c); }

inline int32_t dp4a_u8s8(uint32_t a, uint32_t b, int32_t c) {
  for (int i = 0; i < 32; i += 8) c += uint8_t(a >> i) * int8_t(b >> i);
  return c;
}

template <int Bytes, class T>
void cp_async(Shared<T> to, const T* p, bool valid = true,
              emulation::Location where = emulation::Location::current()) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  emulation::queue_copy(to.at(0, Bytes / int(sizeof(T)), where), p, Bytes, valid, where);
}
inline void cp_async_commit() { emulation::commit_copies(); }
template <int Left>
void cp_async_wait(emulation::Location where = emulation::Location::current()) {
  emulation::wait_for_copies(Left, where);
}

template <class... Params, class... Args>
void launch(void (*kernel)(Params...), const Dim& grid, const Dim& block, size_t shared_bytes,
            Stream, Args&&... args) {
  static_assert((size_t(0) + ... + sizeof(std::decay_t<Params>)) <= 4096,
                "CUDA gives a kernel 4 KB of arguments");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  std::tuple<void (*)(Params...), std::decay_t<Params>...> call(kernel,
                                                                std::forward<Args>(args)...);
  const auto check_pointer = [&](const auto& value) {
    if constexpr (std::is_pointer_v<std::decay_t<decltype(value)>>)
      if (value && !emulation::on_device(reinterpret_cast<const void*>(value)))
        throw Failure(Status::failed, emulation::name_of(grid.where) +
                                          ": a kernel is given a pointer to host memory");
  };
  std::apply([&](auto, const auto&... values) { (check_pointer(values), ...); }, call);
  auto work = [call, grid, block, shared_bytes]() mutable {
    emulation::run(
        [](void* argument) {
          std::apply([](auto f, auto... values) { f(values...); },
                     *static_cast<decltype(call)*>(argument));
        },
        &call, grid, block, shared_bytes, grid.where);
  };
  if (emulation::Recording* recording = emulation::current_recording())
    recording->work.emplace_back(std::move(work));
  else
    work();
}

}  // namespace pare::cuda
