// Tensor-core steps of one warp.
//
// mma: d = a b + d for one tile, each lane holding the fragments that the PTX manual draws ("Matrix
// fragments for mma.m16n8k8" and following). With g = lane / 4, t = lane % 4:
//   accumulator, 16 x 8: d[0], d[1] are row g, columns 2t and 2t + 1; d[2], d[3] row g + 8.
//   tf32, k = 8:    a[0..3] = (g, t) (g+8, t) (g, t+4) (g+8, t+4);  b[0..1] = (t, g) (t+4, g)
//   bf16, k = 16, two to a word, lower k in the lower half:
//     a[0..3] = (g, 2t) (g+8, 2t) (g, 2t+8) (g+8, 2t+8);  b[0..1] = (2t, g) (2t+8, g)
//   u8 by s8, k = 32, four to a word: a[0..3] = (g, 4t) (g+8, 4t) (g, 4t+16) (g+8, 4t+16);
//     b[0..1] = (4t, g) (4t+16, g)
// where (row, column) for a is (m, k) and for b (k, n). They need compute capability 8.0: ask
// properties().capability before choosing such a kernel.
#pragma once

#include "cuda/device.h"

#if !defined(__CUDACC__)
#include "cuda/emulation/mma_host.h"
#endif

namespace pare::cuda {

// Whether the GPU compiled for has them. A kernel that is never chosen on others is left empty
// there by this: most of what there is to compile is such kernels.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr bool has_mma = false;
#else
constexpr bool has_mma = true;
#endif

// A factor as tensor cores take it: to_tf32 and BFloat16 in the GPU's own instructions. One of
// cvt.rna.tf32 is four on sm_90; tensor cores do not look at the lowest 13 bits, so two do, and
// leave those bits as they come.
PARE_DEVICE inline uint32_t round_tf32(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t bits;
  asm("{.reg .pred number; mov.b32 %0, %1; setp.num.f32 number, %1, %1; @number add.u32 %0, %0, "
      "0x1000;}"
      : "=r"(bits)
      : "f"(x));
  return bits;
#else
  return to_tf32(x);
#endif
}
PARE_DEVICE inline BFloat16 round_bf16(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  BFloat16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
#else
  return BFloat16(x);
#endif
}

#if defined(__CUDACC__)

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define PARE_MMA(...) __trap()
#else
#define PARE_MMA(...) asm volatile(__VA_ARGS__)
#endif
#define PARE_FLOAT_MMA(name, shape, types)                                                    \
  PARE_DEVICE inline void name([[maybe_unused]] float(&d)[4],                                 \
                               [[maybe_unused]] const uint32_t(&a)[4],                        \
                               [[maybe_unused]] const uint32_t(&b)[2]) {                      \
    PARE_MMA("mma.sync.aligned." shape ".row.col.f32." types                                  \
             ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" : "+f"(d[0]),       \
             "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), \
             "r"(b[0]), "r"(b[1]));                                                           \
  }
PARE_FLOAT_MMA(mma_tf32, "m16n8k8", "tf32.tf32")
PARE_FLOAT_MMA(mma_bf16, "m16n8k16", "bf16.bf16")
#undef PARE_FLOAT_MMA

PARE_DEVICE inline void mma_u8s8([[maybe_unused]] int32_t (&d)[4],
                                 [[maybe_unused]] const uint32_t (&a)[4],
                                 [[maybe_unused]] const uint32_t (&b)[2]) {
  PARE_MMA(
      "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};" : "+r"(d[0]),
      "+r"(d[1]), "+r"(d[2]), "+r"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]),
      "r"(b[1]));
}
#undef PARE_MMA

#endif

}  // namespace pare::cuda
