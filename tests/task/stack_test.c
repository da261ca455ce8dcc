/*
 * Stacks: each is its own, guarded, counted, used again, and given back to the kernel when it is not needed.
 */
#include "lib/task/stack.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"
#include "weft/memory.h"

#if TEST_SANITIZED
#define MANY 4000 /* a sanitizer takes memory of its own for each */
#else
#define MANY 100000
#endif

/* Two mappings each: at the limit not only stacks fail, but every allocation of the process. */
#define PROTECTED_MANY 4000

#define GUARD_INSTALL 102

static struct stack *acquire(struct stack_pool *pool, enum stack_class stack_class)
{
    struct stack *stack;
    CHECK_EQ(stack_acquire(pool, stack_class, &stack), 0);
    return stack;
}

static void touch(struct stack *stack)
{
    *(volatile char *)((char *)stack->low + stack->bytes - 1) = 1;
}

/* A kernel that a test can break. */

static int64_t map_budget_bytes;
static int protect_budget;
static int unmap_count;
static int drop_count;

static int broken_map(size_t bytes, void **addr_out)
{
    if (map_budget_bytes < (int64_t)bytes)
        return -ENOMEM;
    void *addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(addr != MAP_FAILED);
    map_budget_bytes -= (int64_t)bytes;
    *addr_out = addr;
    return 0;
}

static int broken_unmap(void *addr, size_t bytes)
{
    unmap_count++;
    map_budget_bytes += (int64_t)bytes;
    return munmap(addr, bytes) == 0 ? 0 : -errno;
}

static bool says_yes; /* to every advice, and does nothing, as an emulator may */

static int broken_advise(void *addr, size_t bytes, int advice)
{
    if (says_yes)
        return 0;
    if (advice == GUARD_INSTALL)
        return -EINVAL; /* as before Linux 6.13 */
    drop_count += advice == MADV_DONTNEED;
    return madvise(addr, bytes, advice) == 0 ? 0 : -errno;
}

static int broken_protect(void *addr, size_t bytes)
{
    if (protect_budget-- <= 0)
        return -ENOMEM;
    return mprotect(addr, bytes, PROT_NONE) == 0 ? 0 : -errno;
}

static const struct stack_system broken = {broken_map, broken_unmap, broken_advise, broken_protect};

static struct stack_pool *broken_pool(bool allow_unguarded, int64_t map_bytes, int protects)
{
    static struct stack_pool pool;
    stack_pool_init(&pool, &(struct stack_options){.system = &broken, .allow_unguarded = allow_unguarded});
    map_budget_bytes = map_bytes;
    protect_budget = protects;
    unmap_count = 0;
    drop_count = 0;
    return &pool;
}

Test(stack, has_the_bytes_of_its_class, .timeout = 10)
{
    static const size_t bytes[] = {(size_t)64 << 10, (size_t)1 << 20, (size_t)8 << 20};
    struct stack_pool pool;
    stack_pool_init(&pool, NULL);
    for (int i = 0; i < STACK_CLASS_COUNT; i++) {
        struct stack *stack = acquire(&pool, (enum stack_class)i);
        CHECK(stack->bytes > bytes[i] - 1024 && stack->bytes <= bytes[i]);
        CHECK_EQ((uintptr_t)((char *)stack->low + stack->bytes) % 16, 0);
        memset(stack->low, 0x5a, stack->bytes);
        stack_release(&pool, stack);
    }
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

Test(stack, of_one_slab_do_not_overlap, .timeout = 10)
{
    struct stack_pool pool;
    struct stack *stacks[600];
    stack_pool_init(&pool, NULL);
    for (int i = 0; i < 600; i++) {
        stacks[i] = acquire(&pool, STACK_SMALL);
        *(int *)stacks[i]->low = i;
        ((int *)((char *)stacks[i]->low + stacks[i]->bytes))[-1] = i;
    }
    for (int i = 0; i < 600; i++) {
        CHECK_EQ(*(int *)stacks[i]->low, i);
        CHECK_EQ(((int *)((char *)stacks[i]->low + stacks[i]->bytes))[-1], i);
        stack_release(&pool, stacks[i]);
    }
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* Overflow. */

static struct stack *overflowing;

static void on_fault(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    _exit(stack_guard_contains(overflowing, info->si_addr) ? 42 : 43);
}

/* noinline and what follows the call keep each level a frame of its own. */
__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[1024];
    frame[depth % 1024] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + frame[depth % 1024];
}

static void overflow_by_recursion(void *arg)
{
    (void)arg;
    _exit(recurse(0) & 1);
}

/* As far below the stack as code without stack-clash protection may reach in one step: not the first page, but still the guard. */
static void overflow_by_one_frame(void *arg)
{
    *(volatile char *)((char *)((struct stack *)arg)->low - STACK_GUARD_BYTES + 1) = 1;
    _exit(44);
}

static int exit_code_of_overflow(struct stack *stack, void (*entry)(void *))
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        static char alternate[64 << 10];
        struct fiber_context thread;
        struct fiber_context fiber;
        overflowing = stack;
        sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = sizeof(alternate)}, NULL);
        sigaction(SIGSEGV, &(struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK}, NULL);
        fiber_context_init_thread(&thread);
        stack_context_init(stack, &fiber, entry, stack);
        fiber_context_switch(&thread, &fiber);
        _exit(45);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void check_overflow(struct stack_pool *pool, enum stack_class stack_class)
{
    struct stack *neighbour = acquire(pool, stack_class); /* below, where an overflow must not get to */
    struct stack *stack = acquire(pool, stack_class);
    CHECK_EQ(exit_code_of_overflow(stack, overflow_by_recursion), 42);
    CHECK_EQ(exit_code_of_overflow(stack, overflow_by_one_frame), 42);
    stack_release(pool, stack);
    stack_release(pool, neighbour);
}

Test(stack, overflow_faults_in_the_guard, .timeout = 20)
{
    struct stack_pool pool;
    stack_pool_init(&pool, NULL);
    for (int i = 0; i < STACK_CLASS_COUNT; i++)
        check_overflow(&pool, (enum stack_class)i);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

Test(stack, overflow_faults_where_mprotect_guards, .timeout = 20)
{
    struct stack_pool *pool = broken_pool(false, INT64_MAX, 1000);
    for (int i = 0; i < STACK_CLASS_COUNT; i++)
        check_overflow(pool, (enum stack_class)i);
    CHECK_EQ(stack_pool_fini(pool), 0);
}

Test(stack, overflow_faults_where_the_kernel_only_says_that_it_marks, .timeout = 20)
{
    struct stack_pool *pool = broken_pool(false, INT64_MAX, 1000);
    says_yes = true;
    check_overflow(pool, STACK_SMALL);
    CHECK_EQ(stack_pool_fini(pool), 0);
}

Test(stack, guard_survives_being_used_again, .timeout = 20)
{
    struct stack_pool pool;
    stack_pool_init(&pool, NULL);
    struct stack *stack = acquire(&pool, STACK_SMALL);
    touch(stack);
    stack_release(&pool, stack);
    CHECK_EQ(stack_pool_trim(&pool, 1), 1);
    CHECK(acquire(&pool, STACK_SMALL) == stack);
    CHECK_EQ(exit_code_of_overflow(stack, overflow_by_recursion), 42);
    stack_release(&pool, stack);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* Many. */

static size_t mapping_count(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    size_t count = 0;
    for (int c; (c = fgetc(maps)) != EOF;)
        count += c == '\n';
    fclose(maps);
    return count;
}

static size_t resident_bytes(void)
{
    size_t total;
    size_t resident;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK_EQ(fscanf(statm, "%zu %zu", &total, &resident), 2);
    fclose(statm);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void never_runs(void *arg)
{
    (void)arg;
    abort();
}

Test(stack, a_hundred_thousand_live_at_once_with_one_page_each, .timeout = 60)
{
    struct stack_pool pool;
    static struct stack *stacks[MANY];
    struct fiber_context fiber;
    stack_pool_init(&pool, NULL);
    size_t mappings = mapping_count();
    size_t resident = resident_bytes();
    size_t count = 0;
    size_t wanted = MANY;
    int status = 0;
    while (count < wanted && (status = stack_acquire(&pool, STACK_SMALL, &stacks[count])) == 0) {
        if (stack_guard_kind(stacks[count]) != STACK_GUARD_MARKED)
            wanted = PROTECTED_MANY;
        stack_context_init(stacks[count++], &fiber, never_runs, NULL);
    }
    CHECK_EQ(status, 0);
    CHECK_EQ(count, wanted);
    size_t each = (resident_bytes() - resident) / count;
    printf("stack: %zu live, guarded: %s, %zu mappings, %zu bytes resident each\n", count, stack_guard_name(stack_guard_kind(stacks[0])),
           mapping_count() - mappings, each);
    CHECK_EQ(stack_pool_live_count(&pool), count);
    /* Where guards are not marked this may be an emulator, whose own memory would count. */
    bool is_marked = stack_guard_kind(stacks[0]) == STACK_GUARD_MARKED;
    CHECK(!is_marked || mapping_count() - mappings < 2000);
#if !TEST_SANITIZED
    CHECK(!is_marked || each <= 4505); /* 4.4 KiB */
#endif
    for (size_t i = 0; i < count; i++)
        stack_release(&pool, stacks[i]);
    while (stack_pool_trim(&pool, 64) == 64)
        ;
#if !TEST_SANITIZED
    CHECK(!is_marked || resident_bytes() < resident + count * 4096 / 20); /* malloc may keep what described the slabs */
#endif
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* Failures. */

Test(stack, is_refused_when_mappings_run_out, .timeout = 10)
{
    struct stack_pool *pool = broken_pool(false, INT64_MAX, 3);
    struct stack *stacks[3];
    struct stack *none = NULL;
    for (int i = 0; i < 3; i++)
        stacks[i] = acquire(pool, STACK_SMALL);
    CHECK_EQ(stack_guard_kind(stacks[0]), STACK_GUARD_PROTECTED);
    CHECK_EQ(stack_acquire(pool, STACK_SMALL, &none), -ENOMEM);
    CHECK(none == NULL);
    stack_release(pool, stacks[1]);
    CHECK(acquire(pool, STACK_SMALL) == stacks[1]);
    for (int i = 0; i < 3; i++)
        stack_release(pool, stacks[i]);
    CHECK_EQ(stack_pool_fini(pool), 0);
}

Test(stack, is_unguarded_where_that_is_allowed, .timeout = 10)
{
    struct stack_pool *pool = broken_pool(true, INT64_MAX, 1);
    struct stack *guarded = acquire(pool, STACK_SMALL);
    struct stack *bare = acquire(pool, STACK_SMALL);
    CHECK_EQ(stack_guard_kind(guarded), STACK_GUARD_PROTECTED);
    CHECK_EQ(stack_guard_kind(bare), STACK_GUARD_NONE);
    CHECK(stack_guard_contains(guarded, (char *)guarded->low - 1));
    CHECK(!stack_guard_contains(bare, (char *)bare->low - 1));
    stack_release(pool, bare);
    stack_release(pool, guarded);
    CHECK_EQ(stack_pool_fini(pool), 0);
}

Test(stack, comes_in_smaller_slabs_where_address_space_is_short, .timeout = 10)
{
    struct stack_pool *pool = broken_pool(false, 3 * (128 << 10), 1000);
    struct stack *stacks[3];
    struct stack *none = NULL;
    for (int i = 0; i < 3; i++)
        stacks[i] = acquire(pool, STACK_SMALL);
    CHECK_EQ(stack_acquire(pool, STACK_SMALL, &none), -ENOMEM);
    CHECK(none == NULL);
    for (int i = 0; i < 3; i++)
        stack_release(pool, stacks[i]);
    CHECK_EQ(stack_pool_fini(pool), 0);
    CHECK_EQ(map_budget_bytes, 3 * (128 << 10));
}

static void *no_calloc(size_t count, size_t bytes)
{
    (void)count, (void)bytes;
    return NULL;
}

Test(stack, is_refused_when_out_of_memory, .timeout = 10)
{
    struct stack_pool *pool = broken_pool(false, INT64_MAX, 1000);
    struct stack *stack = NULL;
    const struct weft_memory poor = {sizeof(poor), malloc, no_calloc, realloc, aligned_alloc, free};
    CHECK_EQ(weft_memory_set(&poor), 0);
    CHECK_EQ(stack_acquire(pool, STACK_SMALL, &stack), -ENOMEM);
    CHECK(stack == NULL);
    CHECK_EQ(map_budget_bytes, INT64_MAX);
    CHECK_EQ(weft_memory_set(NULL), 0);
    stack_release(pool, acquire(pool, STACK_SMALL));
    CHECK_EQ(stack_pool_fini(pool), 0);
}

/* Counting, ageing. */

Test(stack_pool, fini_counts_what_is_live_and_leaves_it, .timeout = 10)
{
    struct stack_pool pool;
    stack_pool_init(&pool, NULL);
    struct stack *first = acquire(&pool, STACK_SMALL);
    struct stack *second = acquire(&pool, STACK_LARGE);
    CHECK_EQ(stack_pool_live_count(&pool), 2);
    CHECK_EQ(stack_pool_fini(&pool), 2);
    touch(first);
    touch(second);
    stack_release(&pool, first);
    CHECK_EQ(stack_pool_fini(&pool), 1);
    stack_release(&pool, second);
    CHECK_EQ(stack_pool_fini(&pool), 0);
    CHECK_EQ(stack_pool_fini(NULL), 0);
}

Test(stack_pool, hands_out_the_newest_first, .timeout = 10)
{
    struct stack_pool pool;
    stack_pool_init(&pool, NULL);
    struct stack *first = acquire(&pool, STACK_SMALL);
    struct stack *second = acquire(&pool, STACK_SMALL);
    stack_release(&pool, first);
    stack_release(&pool, second);
    CHECK(acquire(&pool, STACK_SMALL) == second);
    CHECK(acquire(&pool, STACK_SMALL) == first);
    stack_release(&pool, first);
    stack_release(&pool, second);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

Test(stack_pool, trim_drops_the_pages_of_the_oldest, .timeout = 10)
{
    struct stack_pool pool;
    stack_pool_init(&pool, NULL);
    struct stack *oldest = acquire(&pool, STACK_SMALL);
    struct stack *newest = acquire(&pool, STACK_SMALL);
    memset(oldest->low, 1, oldest->bytes);
    memset(newest->low, 1, newest->bytes);
    stack_release(&pool, oldest);
    stack_release(&pool, newest);
    CHECK_EQ(stack_pool_trim(&pool, 1), 1);
    CHECK(acquire(&pool, STACK_SMALL) == newest);
    CHECK(acquire(&pool, STACK_SMALL) == oldest);
    CHECK_EQ(*(char *)newest->low, 1);
    CHECK_EQ(*(char *)oldest->low, 0);
    CHECK_EQ(((char *)oldest->low)[oldest->bytes - 1], 0);
    stack_release(&pool, oldest);
    stack_release(&pool, newest);
    CHECK_EQ(stack_pool_trim(&pool, 5), 2);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

Test(stack_pool, unmaps_slabs_that_nobody_needs_but_one, .timeout = 10)
{
    enum { COUNT = 4 * 223 }; /* four slabs */
    struct stack_pool *pool = broken_pool(false, INT64_MAX, 5000);
    struct stack *stacks[COUNT];
    for (int i = 0; i < COUNT; i++)
        stacks[i] = acquire(pool, STACK_SMALL);
    for (int i = 0; i < COUNT; i++)
        stack_release(pool, stacks[i]);
    CHECK_EQ(unmap_count, 0);
    CHECK_EQ(stack_pool_trim(pool, SIZE_MAX), COUNT);
    CHECK_EQ(unmap_count, 3);
    CHECK_EQ(stack_pool_fini(pool), 0);
    CHECK_EQ(unmap_count, 4);
    CHECK_EQ(map_budget_bytes, INT64_MAX);
}

Test(stack_pool, lets_a_burst_go_cold_while_it_works_on, .timeout = 20)
{
    enum { BURST = 3000 };
    struct stack_pool pool;
    static struct stack *stacks[BURST];
    stack_pool_init(&pool, NULL);
    for (int i = 0; i < BURST; i++)
        stacks[i] = acquire(&pool, STACK_SMALL);
    for (int i = 0; i < BURST; i++)
        stack_release(&pool, stacks[i]);
    CHECK_EQ(pool.bins[STACK_SMALL].warm_count, BURST);
    for (int i = 0; i < 5 * BURST; i++)
        stack_release(&pool, acquire(&pool, STACK_SMALL));
    CHECK(pool.bins[STACK_SMALL].warm_count < 10);
    CHECK(pool.bins[STACK_SMALL].stack_count <= 512);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

Test(stack_pool, keeps_warm_what_comes_and_goes, .timeout = 20)
{
    enum { WAVE = 300 };
    struct stack_pool *pool = broken_pool(false, INT64_MAX, 1000);
    struct stack *stacks[WAVE];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < WAVE; i++)
            stacks[i] = acquire(pool, STACK_SMALL);
        for (int i = 0; i < WAVE; i++)
            stack_release(pool, stacks[i]);
    }
    CHECK_EQ(drop_count, 0);
    CHECK_EQ(pool->bins[STACK_SMALL].warm_count, WAVE);
    CHECK_EQ(stack_pool_fini(pool), 0);
}

Test(stack_pool, gives_back_what_one_deep_call_took, .timeout = 10)
{
    struct stack_pool pool;
    stack_pool_init(&pool, NULL);
    struct stack *stack = acquire(&pool, STACK_LARGE);
    memset(stack->low, 1, stack->bytes);
    stack_release(&pool, stack);
    for (int i = 1; i < 64; i++) {
        CHECK(acquire(&pool, STACK_LARGE) == stack);
        stack_release(&pool, stack);
    }
    CHECK(acquire(&pool, STACK_LARGE) == stack);
    CHECK_EQ(*(char *)stack->low, 0);
    CHECK_EQ(((char *)stack->low)[stack->bytes - 1], 1); /* the hot part stays */
    stack_release(&pool, stack);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}

/* Other threads. */

enum { REMOTE_THREADS = 2, REMOTE_STACKS = 500 };
static struct stack *remote_stacks[REMOTE_THREADS][REMOTE_STACKS];

static void *release_all(void *arg)
{
    struct stack **stacks = arg;
    for (int i = 0; i < REMOTE_STACKS; i++)
        stack_release_remote(stacks[i]);
    return NULL;
}

Test(stack_pool, takes_back_what_other_threads_release, .timeout = 20)
{
    struct stack_pool pool;
    pthread_t threads[REMOTE_THREADS];
    stack_pool_init(&pool, NULL);
    for (int t = 0; t < REMOTE_THREADS; t++) {
        for (int i = 0; i < REMOTE_STACKS; i++) {
            remote_stacks[t][i] = acquire(&pool, STACK_SMALL);
            touch(remote_stacks[t][i]);
        }
    }
    for (int t = 0; t < REMOTE_THREADS; t++)
        CHECK_EQ(pthread_create(&threads[t], NULL, release_all, remote_stacks[t]), 0);
    for (int i = 0; i < 2 * REMOTE_STACKS; i++) {
        struct stack *stack = acquire(&pool, STACK_SMALL);
        touch(stack);
        stack_release(&pool, stack);
    }
    for (int t = 0; t < REMOTE_THREADS; t++)
        CHECK_EQ(pthread_join(threads[t], NULL), 0);
    CHECK_EQ(stack_pool_live_count(&pool), 0);
    CHECK_EQ(stack_pool_fini(&pool), 0);
}
