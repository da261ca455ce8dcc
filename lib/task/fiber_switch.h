/*
 * Fiber context: a place in some code, on a stack of its own, that can be left and gone back to. The machine's part of a fiber, which
 * lib/task/fiber.c makes a coroutine of.
 *
 *     struct fiber_context thread, fiber;
 *     fiber_context_init_thread(&thread);
 *     fiber_context_init(&fiber, low, bytes, entry, arg);
 *     fiber_context_switch(&thread, &fiber);      runs entry(arg), which comes back by fiber_context_switch(&fiber, &thread)
 *
 * A context that does not run is its `sp`; one that runs has none. It may go on in another thread than it was left in, once its switch
 * is over: whoever makes it runnable does so from the other stack, after fiber_context_switch() has arrived there.
 *
 * Compilers take a thread for granted: the address of a thread-local (errno too) from before a switch may be used after it. What may
 * run after a switch in another thread reads thread-locals, and pthread_self(), through a noinline function with an empty
 * `__asm__ volatile("" ::: "memory")` in it: without that a compiler sees that the function is pure, and calls it once (seen).
 */
#ifndef LIB_TASK_FIBER_SWITCH_H
#define LIB_TASK_FIBER_SWITCH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/task/fiber_sanitize.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a called function need not keep, beside the general registers. */
#if defined(__AVX512F__)
#define FIBER_VECTOR_REGISTERS                                                                                                             \
    FIBER_SSE_REGISTERS, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",       \
        "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define FIBER_VECTOR_REGISTERS FIBER_SSE_REGISTERS
#endif
#define FIBER_SSE_REGISTERS                                                                                                                \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",  \
        "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"

struct fiber_context {
    void *sp; /* the frame that fiber_frame_switch() left; stale while the context runs */
    struct fiber_shadow shadow;
};

/* In assembly: fiber_switch_*.S say what a frame is. */
void fiber_frame_switch(void **from_sp, void *to_sp);
void *fiber_frame_make(void *top, void (*entry)(void *arg), void *arg);

/*
 * Call fiber_frame_switch(), without a call instruction where we can: the processor predicts returns from the calls that it saw, and
 * one that is never returned from would put every return above it, up to the loop's, one off. What is left are the two that differ in
 * truth, out of the switch on either side.
 */
static inline void fiber_frame_jump(void **from_sp, void *to_sp)
{
#if defined(__x86_64__)
    __asm__ __volatile__("leaq -128(%%rsp), %%rsp\n\t" /* the red zone of whom this is inlined into */
                         "leaq 1f(%%rip), %%rax\n\t"
                         "pushq %%rax\n\t"
                         "jmp fiber_frame_switch\n"
                         "1:\n\t"
                         "leaq 128(%%rsp), %%rsp"
                         : "+D"(from_sp), "+S"(to_sp)
                         :
                         : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "cc", "memory", FIBER_VECTOR_REGISTERS);
#else
    fiber_frame_switch(from_sp, to_sp);
#endif
}

/*
 * Make `ctx` stand for the stack that the calling thread runs on, so that it can be left.
 *
 * thread:  the one whose stack it is
 */
static inline void fiber_context_init_thread(struct fiber_context *ctx)
{
    ctx->sp = NULL;
    fiber_shadow_init_thread(&ctx->shadow);
}

/*
 * Make `ctx` a context that will run entry(arg) on the stack of `stack_bytes` bytes from `stack_low` up.
 *
 * `entry` must not return: it ends in fiber_context_exit_to(). Returning traps. It starts with the rounding modes and exception masks of
 * the caller. Under ThreadSanitizer the context also needs a TSan fiber: stack_context_init() gives it the stack's.
 *
 * thread:  any
 * memory:  `ctx` and the stack stay borrowed until the context was left for good; one page of the stack is touched
 */
static inline void fiber_context_init(struct fiber_context *ctx, void *stack_low, size_t stack_bytes, void (*entry)(void *arg), void *arg)
{
    void *top = (char *)stack_low + stack_bytes;
#if defined(FIBER_ASAN)
    ctx->shadow.low = stack_low;
    ctx->shadow.bytes = stack_bytes;
    ctx->shadow.fake_stack = NULL;
    ctx->shadow.entry = entry;
    ctx->shadow.arg = arg;
    ctx->sp = fiber_frame_make(top, fiber_shadow_enter, &ctx->shadow);
#else
    ctx->sp = fiber_frame_make(top, entry, arg);
#endif
}

/*
 * Leave the running context in `from` and go on in `to`; returns when somebody switches to `from`.
 *
 * Kept are the registers that a function must keep and the floating-point control words. Signal masks are the thread's and stay.
 *
 * thread:  the one that runs `from`
 * memory:  allocates nothing
 */
static inline void fiber_context_switch(struct fiber_context *from, struct fiber_context *to)
{
    void *to_sp = to->sp;
    fiber_shadow_switch(&from->shadow, &to->shadow);
    fiber_frame_jump(&from->sp, to_sp);
    fiber_shadow_arrive(&from->shadow);
}

/*
 * Leave the running context for good and go on in `to`, which may then use the stack for something else.
 *
 * thread:  the one that runs the context to leave
 * memory:  the context and its stack are the owner's again once `to` runs
 * returns: never
 */
__attribute__((noreturn)) static inline void fiber_context_exit_to(struct fiber_context *to)
{
    void *to_sp = to->sp;
    fiber_shadow_exit_to(&to->shadow);
    fiber_frame_jump(&to->sp, to_sp); /* nobody wants it. Not in this frame, which ASan's fake stack may have taken along */
    __builtin_trap();
}

#ifdef __cplusplus
}
#endif

#endif
