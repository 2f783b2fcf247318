#include "cuda/emulation/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#include "cuda/emulation/sanitizer.h"

namespace pare::cuda::emulation {
namespace {

constexpr size_t stack_size = PARE_ASAN ? 512 * 1024 : 128 * 1024;

Fiber* starting = nullptr;

#if PARE_ASAN
Fiber* leaving = nullptr;
// The bounds of the stack that was left are how the sanitizer is told of it on the way back.
void arrived(void* fake_stack) {
  __sanitizer_finish_switch_fiber(fake_stack, &leaving->bottom, &leaving->bottom_size);
}
#endif

[[maybe_unused]] void begin() {
  Fiber& fiber = *starting;
  fiber.entry(fiber);
  __builtin_trap();
}

#if defined(__x86_64__)
// Saves what the calling convention preserves, and continues on the other stack.
extern "C" __attribute__((visibility("hidden"))) void pare_switch_stacks(void** save, void* load);
asm(R"(
  .text
  .hidden pare_switch_stacks
  .globl pare_switch_stacks
  .type pare_switch_stacks, @function
pare_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size pare_switch_stacks, .-pare_switch_stacks
)");
#endif

}  // namespace

Fiber::~Fiber() {
  if (stack) ::munmap(stack, size);
}

void start(Fiber& fiber, void (*entry)(Fiber&)) {
  if (!fiber.stack) {
    void* memory = ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    // An overflow faults instead of running into a neighbour.
    ::mprotect(memory, size_t(::sysconf(_SC_PAGESIZE)), PROT_NONE);
    fiber.stack = static_cast<char*>(memory);
    fiber.size = stack_size;
    fiber.bottom = memory;
    fiber.bottom_size = stack_size;
  }
#if PARE_ASAN
  __asan_unpoison_memory_region(fiber.stack, fiber.size);
#endif
  fiber.entry = entry;
  fiber.fake_stack = nullptr;
#if defined(__x86_64__)
  auto** top = reinterpret_cast<void**>(fiber.stack + fiber.size);
  *--top = nullptr;  // keeps the stack aligned as after a call
  *--top = reinterpret_cast<void*>(&begin);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  fiber.stack_pointer = top;
#else
  ::getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = fiber.size;
  fiber.context.uc_link = nullptr;
  ::makecontext(&fiber.context, begin, 0);
#endif
}

void switch_fibers(Fiber& from, Fiber& to) {
#if PARE_ASAN
  leaving = &from;
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.bottom_size);
#endif
  starting = &to;
#if defined(__x86_64__)
  pare_switch_stacks(&from.stack_pointer, to.stack_pointer);
#else
  ::swapcontext(&from.context, &to.context);
#endif
#if PARE_ASAN
  arrived(from.fake_stack);
#endif
}

void entered() {
#if PARE_ASAN
  arrived(nullptr);
#endif
}

}  // namespace pare::cuda::emulation
