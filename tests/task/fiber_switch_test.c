/*
 * The stack switch: what survives it, where it starts and ends, and that the tools can follow.
 */
#include "lib/task/fiber_switch.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include "lib/task/stack.h"
#include "tests/support/test.h"

#if defined(FIBER_ASAN)
/* With frames on the heap too, where a tool keeps them that a use after return is seen. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_stack_use_after_return=1";
}
#endif

static struct stack_pool pool;
static struct fiber_context thread;

/* One fiber with its stack; `fn` runs on it and may go back and forth by back(). */
struct runner {
    struct fiber_context context;
    struct stack *stack;
    void (*fn)(struct runner *runner);
    struct fiber_context *home;
    int64_t value;
    bool is_over;
};

static void back(struct runner *runner)
{
    fiber_context_switch(&runner->context, runner->home);
}

static void runner_entry(void *arg)
{
    struct runner *runner = arg;
    runner->fn(runner);
    runner->is_over = true;
    fiber_context_exit_to(runner->home);
}

static void runner_init(struct runner *runner, void (*fn)(struct runner *))
{
    *runner = (struct runner){.fn = fn, .home = &thread};
    CHECK_EQ(stack_acquire(&pool, STACK_SMALL, &runner->stack), 0);
    stack_context_init(runner->stack, &runner->context, runner_entry, runner);
}

static void runner_resume(struct runner *runner)
{
    fiber_context_switch(runner->home, &runner->context);
    if (runner->is_over)
        stack_release(&pool, runner->stack);
}

static void setup(void)
{
    stack_pool_init(&pool, NULL);
    fiber_context_init_thread(&thread);
}

static void count_up(struct runner *runner)
{
    for (int i = 0; i < 3; i++) {
        runner->value++;
        back(runner);
    }
}

Test(fiber_switch, goes_back_and_forth, .timeout = 10)
{
    struct runner runner;
    setup();
    runner_init(&runner, count_up);
    for (int i = 1; i <= 3; i++) {
        runner_resume(&runner);
        CHECK_EQ(runner.value, i);
        CHECK(!runner.is_over);
    }
    runner_resume(&runner);
    CHECK(runner.is_over);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* The frame address is what the convention aligns; an aligned local alone could be the compiler's doing. */
static void look_at_stack(struct runner *runner)
{
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    uintptr_t low = (uintptr_t)runner->stack->low;
    CHECK(frame > low && frame < low + runner->stack->bytes);
    runner->value = (int64_t)(frame % 16);
}

Test(fiber_switch, enters_on_an_aligned_stack, .timeout = 10)
{
    struct runner runner;
    setup();
    runner_init(&runner, look_at_stack);
    runner_resume(&runner);
    CHECK_EQ(runner.value, 0);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* Registers. Not under ASan and TSan, who would have to be told of these switches: the assembly is the same without. */
#if !defined(FIBER_ASAN) && !defined(FIBER_TSAN)

/* Fill all that a function must keep with numbers from `seed` on, switch, and tell whether they still hold them. */
#if defined(__x86_64__)

static bool registers_survive(struct fiber_context *from, struct fiber_context *to, uint64_t seed)
{
    uint64_t kept[6] = {0};
    uint64_t *kept_ptr = kept;
    void **from_sp = &from->sp;
    void *to_sp = to->sp;
    uint64_t first = seed;
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t" /* past the red zone */
                     "pushq %%rbp\n\t"
                     "pushq %%rdx\n\t"
                     "movq %%rax, %%rbx\n\t"
                     "leaq 1(%%rbx), %%r12\n\t"
                     "leaq 2(%%rbx), %%r13\n\t"
                     "leaq 3(%%rbx), %%r14\n\t"
                     "leaq 4(%%rbx), %%r15\n\t"
                     "leaq 5(%%rbx), %%rbp\n\t"
                     "call fiber_frame_switch\n\t"
                     "popq %%rax\n\t"
                     "movq %%rbx, 0(%%rax)\n\t"
                     "movq %%r12, 8(%%rax)\n\t"
                     "movq %%r13, 16(%%rax)\n\t"
                     "movq %%r14, 24(%%rax)\n\t"
                     "movq %%r15, 32(%%rax)\n\t"
                     "movq %%rbp, 40(%%rax)\n\t"
                     "popq %%rbp\n\t"
                     "leaq 128(%%rsp), %%rsp\n\t"
                     : "+D"(from_sp), "+S"(to_sp), "+a"(first), "+d"(kept_ptr)
                     :
                     : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
    for (uint64_t i = 0; i < 6; i++)
        if (kept[i] != seed + i)
            return false;
    return true;
}

#elif defined(__aarch64__)

static bool registers_survive(struct fiber_context *from, struct fiber_context *to, uint64_t seed)
{
    uint64_t kept[18];
    register void *x0 __asm__("x0") = &from->sp;
    register void *x1 __asm__("x1") = to->sp;
    register uint64_t x2 __asm__("x2") = seed;
    register uint64_t *x3 __asm__("x3") = kept;
    __asm__ volatile("stp x29, x3, [sp, #-16]!\n\t"
                     "mov x19, x2\n\t"
                     "add x20, x2, #1\n\t"
                     "add x21, x2, #2\n\t"
                     "add x22, x2, #3\n\t"
                     "add x23, x2, #4\n\t"
                     "add x24, x2, #5\n\t"
                     "add x25, x2, #6\n\t"
                     "add x26, x2, #7\n\t"
                     "add x27, x2, #8\n\t"
                     "add x28, x2, #9\n\t"
                     "fmov d8, x19\n\t"
                     "fmov d9, x20\n\t"
                     "fmov d10, x21\n\t"
                     "fmov d11, x22\n\t"
                     "fmov d12, x23\n\t"
                     "fmov d13, x24\n\t"
                     "fmov d14, x25\n\t"
                     "fmov d15, x26\n\t"
                     "bl fiber_frame_switch\n\t"
                     "ldp x29, x3, [sp], #16\n\t"
                     "stp x19, x20, [x3, #0]\n\t"
                     "stp x21, x22, [x3, #16]\n\t"
                     "stp x23, x24, [x3, #32]\n\t"
                     "stp x25, x26, [x3, #48]\n\t"
                     "stp x27, x28, [x3, #64]\n\t"
                     "stp d8, d9, [x3, #80]\n\t"
                     "stp d10, d11, [x3, #96]\n\t"
                     "stp d12, d13, [x3, #112]\n\t"
                     "stp d14, d15, [x3, #128]\n\t"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :
                     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20",
                       "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15",
                       "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
                       "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");
    for (uint64_t i = 0; i < 18; i++)
        if (kept[i] != seed + (i < 10 ? i : i - 10))
            return false;
    return true;
}

#elif defined(__riscv)

/* s0 to s11, and the doubles fs0 to fs11 with the same numbers in them. */
static bool registers_survive(struct fiber_context *from, struct fiber_context *to, uint64_t seed)
{
    uint64_t kept[24];
    register void *a0 __asm__("a0") = &from->sp;
    register void *a1 __asm__("a1") = to->sp;
    register uint64_t a2 __asm__("a2") = seed;
    register uint64_t *a3 __asm__("a3") = kept;
    __asm__ volatile("addi sp, sp, -16\n\t"
                     "sd s0, 0(sp)\n\t" /* may be the frame pointer, which no list of registers may name */
                     "sd a3, 8(sp)\n\t"
                     "mv s0, a2\n\t"
                     "addi s1, a2, 1\n\taddi s2, a2, 2\n\t"
                     "addi s3, a2, 3\n\taddi s4, a2, 4\n\t"
                     "addi s5, a2, 5\n\taddi s6, a2, 6\n\t"
                     "addi s7, a2, 7\n\taddi s8, a2, 8\n\t"
                     "addi s9, a2, 9\n\taddi s10, a2, 10\n\t"
                     "addi s11, a2, 11\n\t"
                     "fmv.d.x fs0, s0\n\tfmv.d.x fs1, s1\n\t"
                     "fmv.d.x fs2, s2\n\tfmv.d.x fs3, s3\n\t"
                     "fmv.d.x fs4, s4\n\tfmv.d.x fs5, s5\n\t"
                     "fmv.d.x fs6, s6\n\tfmv.d.x fs7, s7\n\t"
                     "fmv.d.x fs8, s8\n\tfmv.d.x fs9, s9\n\t"
                     "fmv.d.x fs10, s10\n\tfmv.d.x fs11, s11\n\t"
                     "call fiber_frame_switch\n\t"
                     "ld a3, 8(sp)\n\t"
                     "sd s0, 0(a3)\n\tsd s1, 8(a3)\n\t"
                     "sd s2, 16(a3)\n\tsd s3, 24(a3)\n\t"
                     "sd s4, 32(a3)\n\tsd s5, 40(a3)\n\t"
                     "sd s6, 48(a3)\n\tsd s7, 56(a3)\n\t"
                     "sd s8, 64(a3)\n\tsd s9, 72(a3)\n\t"
                     "sd s10, 80(a3)\n\tsd s11, 88(a3)\n\t"
                     "fsd fs0, 96(a3)\n\tfsd fs1, 104(a3)\n\t"
                     "fsd fs2, 112(a3)\n\tfsd fs3, 120(a3)\n\t"
                     "fsd fs4, 128(a3)\n\tfsd fs5, 136(a3)\n\t"
                     "fsd fs6, 144(a3)\n\tfsd fs7, 152(a3)\n\t"
                     "fsd fs8, 160(a3)\n\tfsd fs9, 168(a3)\n\t"
                     "fsd fs10, 176(a3)\n\tfsd fs11, 184(a3)\n\t"
                     "ld s0, 0(sp)\n\t"
                     "addi sp, sp, 16\n\t"
                     : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3)
                     :
                     : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a4", "a5", "a6", "a7", "s1", "s2", "s3", "s4", "s5", "s6", "s7",
                       "s8", "s9", "s10", "s11", "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "ft8", "ft9", "ft10", "ft11",
                       "fa0", "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7", "fs0", "fs1", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7",
                       "fs8", "fs9", "fs10", "fs11", "memory");
    for (uint64_t i = 0; i < 24; i++)
        if (kept[i] != seed + i % 12)
            return false;
    return true;
}

#endif

static void spoil_registers(struct runner *runner)
{
    for (uint64_t i = 0; i < 10; i++)
        CHECK(registers_survive(&runner->context, &thread, 0xf1be0000 + i));
}

Test(fiber_switch, keeps_the_registers_of_both_sides, .timeout = 10)
{
    struct runner runner;
    setup();
    runner_init(&runner, spoil_registers);
    for (uint64_t i = 0; i < 10; i++)
        CHECK(registers_survive(&thread, &runner.context, 0x7e40000000 + i));
    runner_resume(&runner);
    CHECK(runner.is_over);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

#endif

/* Floating point. */

static void round_up(struct runner *runner)
{
    CHECK_EQ(fegetround(), FE_DOWNWARD); /* as its maker had it */
    fesetround(FE_UPWARD);
    for (int i = 0; i < 3; i++) {
        back(runner);
        CHECK_EQ(fegetround(), FE_UPWARD);
    }
    runner->value = 1;
}

Test(fiber_switch, keeps_the_rounding_mode_of_both_sides, .timeout = 10)
{
    struct runner runner;
    setup();
    fesetround(FE_DOWNWARD);
    runner_init(&runner, round_up);
    fesetround(FE_TOWARDZERO);
    while (!runner.is_over) {
        runner_resume(&runner);
        CHECK_EQ(fegetround(), FE_TOWARDZERO);
    }
    CHECK_EQ(runner.value, 1);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

#if defined(__x86_64__)

/* Read here, since fegetround() looks at the x87 word alone. Bits 13 and 14 are the rounding mode, bit 5 says "inexact". */
static void round_up_in_mxcsr(struct runner *runner)
{
    __builtin_ia32_ldmxcsr(0x5f80);
    back(runner);
    runner->value = __builtin_ia32_stmxcsr();
}

Test(fiber_switch, keeps_mxcsr_of_both_sides, .timeout = 10)
{
    struct runner runner;
    setup();
    __builtin_ia32_ldmxcsr(0x1f80);
    runner_init(&runner, round_up_in_mxcsr);
    runner_resume(&runner);
    CHECK_EQ(__builtin_ia32_stmxcsr() & 0xffc0, 0x1f80);
    runner_resume(&runner);
    CHECK_EQ(__builtin_ia32_stmxcsr() & 0xffc0, 0x1f80);
    CHECK_EQ(runner.value & 0xffc0, 0x5f80);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

static uint16_t x87_control(void)
{
    uint16_t word = 0;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

static void set_x87_control(uint16_t word)
{
    __asm__ volatile("fldcw %0" : : "m"(word));
}

/* Bits 8 and 9 are the precision, which mxcsr does not have: only this word differs. */
static void lower_precision(struct runner *runner)
{
    set_x87_control(0x007f);
    back(runner);
    runner->value = x87_control();
}

Test(fiber_switch, keeps_the_x87_precision_of_both_sides, .timeout = 10)
{
    struct runner runner;
    setup();
    uint16_t before = x87_control();
    runner_init(&runner, lower_precision);
    runner_resume(&runner);
    CHECK_EQ(x87_control(), before);
    runner_resume(&runner);
    CHECK_EQ(x87_control(), before);
    CHECK_EQ(runner.value & 0x0f7f, 0x007f);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

#endif

/* Many values at once, in whatever registers the compiler takes, integers and floating point, on every one of many fibers. */
static void mix(struct runner *runner)
{
    uint64_t a = (uint64_t)runner->value, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, g = a + 6;
    double x = (double)a, y = x + 1, z = x + 2;
    for (int i = 0; i < 50; i++) {
        back(runner);
        a += b ^ c, b += c ^ d, c += d ^ e, d += e ^ f, e += f ^ g, f += g ^ a, g += a ^ b;
        x = x * 0.5 + y, y = y * 0.25 + z, z = z * 0.125 + x;
    }
    runner->value = (int64_t)(a ^ b ^ c ^ d ^ e ^ f ^ g ^ (uint64_t)(x + y + z));
}

static int64_t mixed_alone(int64_t seed)
{
    struct runner runner;
    runner_init(&runner, mix);
    runner.value = seed;
    while (!runner.is_over)
        runner_resume(&runner);
    return runner.value;
}

Test(fiber_switch, keeps_many_fibers_apart, .timeout = 20)
{
    enum { COUNT = 100 };
    static struct runner runners[COUNT];
    setup();
    for (int i = 0; i < COUNT; i++) {
        runner_init(&runners[i], mix);
        runners[i].value = i;
    }
    for (int round = 0; round <= 50; round++)
        for (int i = 0; i < COUNT; i++)
            runner_resume(&runners[i]);
    for (int i = 0; i < COUNT; i++) {
        CHECK(runners[i].is_over);
        CHECK_EQ(runners[i].value, mixed_alone(i));
    }
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* From fiber to fiber, with the thread's own stack left out. */

static struct runner ring[3];

static void pass_on(struct runner *runner)
{
    struct runner *next = &ring[(runner - ring + 1) % 3];
    for (int i = 0; i < 10; i++) {
        runner->value++;
        fiber_context_switch(&runner->context, &next->context);
    }
}

Test(fiber_switch, goes_from_fiber_to_fiber, .timeout = 10)
{
    setup();
    for (int i = 0; i < 3; i++)
        runner_init(&ring[i], pass_on);
    fiber_context_switch(&thread, &ring[0].context); /* the first to end comes back here */
    CHECK(ring[0].is_over);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(ring[i].value, 10);
    stack_release(&pool, ring[0].stack);
    runner_resume(&ring[1]);
    runner_resume(&ring[2]);
    CHECK(ring[1].is_over && ring[2].is_over);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* A fiber goes on in another thread. */

/* pthread_self() is declared const, and so a compiler takes noinline alone for const too and calls it once. */
__attribute__((noinline)) static pthread_t present_thread(void)
{
    __asm__ volatile("" ::: "memory");
    return pthread_self();
}

static void look_at_thread(struct runner *runner)
{
    pthread_t first = present_thread();
    back(runner);
    runner->value = pthread_equal(first, present_thread()) ? 1 : 2;
}

static void *resume_elsewhere(void *arg)
{
    struct runner *runner = arg;
    struct fiber_context elsewhere;
    fiber_context_init_thread(&elsewhere);
    runner->home = &elsewhere;
    fiber_context_switch(&elsewhere, &runner->context);
    runner->home = NULL;
    return NULL;
}

Test(fiber_switch, goes_on_in_another_thread, .timeout = 10)
{
    struct runner runner;
    pthread_t other;
    setup();
    runner_init(&runner, look_at_thread);
    runner_resume(&runner);
    CHECK_EQ(pthread_create(&other, NULL, resume_elsewhere, &runner), 0);
    CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK(runner.is_over);
    CHECK_EQ(runner.value, 2);
    stack_release(&pool, runner.stack);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* Ends. */

static void leave_from(struct runner *runner, int depth)
{
    volatile char frame[64];
    memset((void *)frame, depth, sizeof(frame));
    if (runner->is_over)
        return;
    if (depth == 0) {
        runner->is_over = true;
        fiber_context_exit_to(runner->home);
    }
    leave_from(runner, depth - 1);
    CHECK_EQ(frame[0], depth);
}

static void leave_deep_down(struct runner *runner)
{
    leave_from(runner, 20);
}

/* ASan's red zones of frames never returned from, and TSan's count of them, must not add up. */
Test(fiber_switch, stacks_left_deep_down_can_be_used_again, .timeout = 30)
{
    setup();
    for (int i = 0; i < 20000; i++) {
        struct runner runner;
        runner_init(&runner, leave_deep_down);
        runner_resume(&runner);
        CHECK(runner.is_over);
    }
    CHECK(pool.bins[STACK_SMALL].stack_count <= 256);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

static void returns(void *arg)
{
    (void)arg;
}

Test(fiber_switch, an_entry_that_returns_traps, .timeout = 10)
{
    setup();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct fiber_context fiber;
        struct stack *stack;
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        stack_acquire(&pool, STACK_SMALL, &stack);
        stack_context_init(stack, &fiber, returns, NULL);
        fiber_context_switch(&thread, &fiber);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP));
}

/* Tools. */

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg)
{
    (void)context;
    return ++*(int64_t *)arg < 100 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void unwind(struct runner *runner)
{
    _Unwind_Backtrace(count_frame, &runner->value);
}

Test(fiber_switch, unwinding_ends_at_the_bottom_of_the_stack, .timeout = 10)
{
    struct runner runner;
    setup();
    runner_init(&runner, unwind);
    runner_resume(&runner);
    CHECK(runner.value >= 2 && runner.value < 10);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

#if defined(FIBER_ASAN)

static void hold(struct runner *runner)
{
    void *volatile held = malloc(100);
    back(runner);
    free(held);
}

__attribute__((noinline)) static void clear_below(void)
{
    volatile char zeros[4096];
    memset((void *)zeros, 0, sizeof(zeros));
}

Test(fiber_switch, leak_check_sees_what_a_parked_fiber_holds, .timeout = 20)
{
    struct runner runner;
    setup();
    int before = __lsan_do_recoverable_leak_check();
    runner_init(&runner, hold);
    runner_resume(&runner);
    clear_below();
    CHECK_EQ(__lsan_do_recoverable_leak_check(), before);
    runner_resume(&runner);
    CHECK(runner.is_over);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

#endif
