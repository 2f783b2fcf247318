// The dialect's body for nvcc; see cuda/device.h for what each name means.
#pragma once

#include <cuda_runtime.h>

#include <tuple>
#include <utility>

#include "cuda/failure.h"

#define PARE_KERNEL static __global__
#define PARE_DEVICE __device__
#define PARE_UNROLL _Pragma("unroll")
#define PARE_SHARED(T, name, count)                              \
  __shared__ alignas(16) char name##_bytes[sizeof(T) * (count)]; \
  const ::pare::cuda::Shared<T> name { reinterpret_cast<T*>(name##_bytes) }

namespace pare::cuda {

struct Dim : dim3 {
  Dim(int64_t width, int64_t height = 1, int64_t depth = 1)
      : dim3(unsigned(width), unsigned(height), unsigned(depth)) {}
};
struct Items {
  int64_t count;
  Items(int64_t n) : count(n) {}
  Dim grid(int64_t blocks) const { return blocks; }
};
using Stream = cudaStream_t;

PARE_DEVICE inline int thread_x() { return int(threadIdx.x); }
PARE_DEVICE inline int thread_y() { return int(threadIdx.y); }
PARE_DEVICE inline int thread_z() { return int(threadIdx.z); }
PARE_DEVICE inline int block_x() { return int(blockIdx.x); }
PARE_DEVICE inline int block_y() { return int(blockIdx.y); }
PARE_DEVICE inline int block_z() { return int(blockIdx.z); }
PARE_DEVICE inline int block_width() { return int(blockDim.x); }
PARE_DEVICE inline int block_height() { return int(blockDim.y); }
PARE_DEVICE inline int block_depth() { return int(blockDim.z); }
PARE_DEVICE inline int grid_width() { return int(gridDim.x); }
PARE_DEVICE inline int grid_height() { return int(gridDim.y); }
PARE_DEVICE inline int grid_depth() { return int(gridDim.z); }
PARE_DEVICE inline int thread_number() {
  return thread_x() + block_width() * (thread_y() + block_height() * thread_z());
}

template <int N, class T>
PARE_DEVICE inline Vector<T, N> load(const T* p) {
  return *reinterpret_cast<const Vector<T, N>*>(p);
}
template <int N, class T>
PARE_DEVICE inline void store(T* p, Vector<T, N> v) {
  *reinterpret_cast<Vector<T, N>*>(p) = v;
}

// The address, worked out once: the compiler would take it apart into a base and an offset, and
// join them again at every load.
template <class T>
PARE_DEVICE inline const T* fixed(const T* p) {
#ifdef __CUDA_ARCH__
  size_t address = __cvta_generic_to_global(p);
  asm("" : "+l"(address));
  return static_cast<const T*>(__cvta_global_to_generic(address));
#else
  return p;
#endif
}

template <class T>
struct Shared {
  T* p;
  PARE_DEVICE T& operator[](int i) const { return p[i]; }
  template <int N>
  PARE_DEVICE Vector<T, N> load(int i) const {
    return ::pare::cuda::load<N>(p + i);
  }
  template <int N>
  PARE_DEVICE void store(int i, Vector<T, N> v) const {
    ::pare::cuda::store<N>(p + i, v);
  }
  PARE_DEVICE Shared operator+(int n) const { return {p + n}; }
};
template <class T>
PARE_DEVICE inline Shared<T> dynamic_shared(int offset = 0) {
  extern __shared__ __align__(16) char pare_dynamic_shared[];
  return {reinterpret_cast<T*>(pare_dynamic_shared + offset)};
}

PARE_DEVICE inline void barrier() { __syncthreads(); }
PARE_DEVICE inline void warp_barrier(uint32_t mask = full_mask) { __syncwarp(mask); }
template <class T>
PARE_DEVICE inline T shuffle_xor(T v, int bits, uint32_t mask = full_mask) {
  return __shfl_xor_sync(mask, v, bits);
}

template <class T>
concept AtomicInteger = std::is_integral_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);
// CUDA knows 64-bit integers as (unsigned) long long.
template <AtomicInteger T>
using AtomicWord =
    std::conditional_t<sizeof(T) == 8,
                       std::conditional_t<std::is_signed_v<T>, long long, unsigned long long>, T>;
template <AtomicInteger T>
PARE_DEVICE inline T atomic_min(T* p, std::type_identity_t<T> v) {
  return T(::atomicMin(reinterpret_cast<AtomicWord<T>*>(p), AtomicWord<T>(v)));
}

PARE_DEVICE inline float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
PARE_DEVICE inline double fma(double a, double b, double c) { return __fma_rn(a, b, c); }

PARE_DEVICE inline int32_t dp4a_u8s8(uint32_t a, uint32_t b, int32_t c) {
  int32_t d;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}

// Copies Bytes from p into shared memory, beside what the thread does next; zeros if not valid.
template <int Bytes, class T>
PARE_DEVICE inline void cp_async(Shared<T> to, const T* p, bool valid = true) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
#if __CUDA_ARCH__ >= 800
  const unsigned address = unsigned(__cvta_generic_to_shared(to.p));
  const int bytes = valid ? Bytes : 0;
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(p), "r"(bytes)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(address), "l"(p), "r"(bytes),
                 "n"(Bytes)
                 : "memory");
#else
  using Word = Vector<char, Bytes>;
  *reinterpret_cast<Word*>(to.p) = valid ? *reinterpret_cast<const Word*>(p) : Word{};
#endif
}
PARE_DEVICE inline void cp_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int Left>
PARE_DEVICE inline void cp_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
#endif
}

template <class... Params, class... Args>
void launch(void (*kernel)(Params...), const Dim& grid, const Dim& block, size_t shared_bytes,
            Stream stream, Args&&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const auto* entry = reinterpret_cast<const void*>(kernel);
  if (shared_bytes > 48 * 1024)
    require(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 int(shared_bytes)));
  std::tuple<std::decay_t<Params>...> values(std::forward<Args>(args)...);
  std::apply(
      [&](auto&... value) {
        void* pointers[] = {static_cast<void*>(&value)..., nullptr};
        require(cudaLaunchKernel(entry, grid, block, pointers, shared_bytes, stream));
      },
      values);
}

}  // namespace pare::cuda
