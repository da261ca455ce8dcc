/*
 * Very many fibers at once, and very many one after the other: memory must follow how many live, not how many lived.
 */
#include "lib/task/fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/task/stack.h"
#include "tests/task/scene.h"

/* Under a sanitizer a stack costs many times its pages. */
enum {
    ALIVE_MAX = TEST_TSAN   ? 500
                : TEST_ASAN ? 5000
                            : 100000,
    PROTECTED_MAX = 20000, /* where each guard costs mappings, of which a process may have 65,530 */
    SERIAL = TEST_TSAN   ? 5000
             : TEST_ASAN ? 20000
                         : 500000,
};

static struct weft_task *tasks[ALIVE_MAX];
static int begun, ended;

static size_t resident_bytes(void)
{
    unsigned long total, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL);
    CHECK_EQ(fscanf(file, "%lu %lu", &total, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* How this kernel guards a stack. */
static enum stack_guard guard_here(void)
{
    struct stack_pool pool;
    struct stack *stack;
    stack_pool_init(&pool, NULL);
    CHECK_EQ(stack_acquire(&pool, STACK_SMALL, &stack), 0);
    enum stack_guard guard = stack_guard_kind(stack);
    stack_release(&pool, stack);
    CHECK_EQ(stack_pool_fini(&pool), 0);
    return guard;
}

static int wait_for_all(void *arg, void **result_out)
{
    (void)result_out;
    begun++;
    int status = weft_await_flags(arg, WEFT_AWAIT_DETACH, NULL);
    ended++;
    return status;
}

static bool all_have_begun(int count)
{
    return begun == count;
}

/* Bring `count` fibers to a wait, and let them end; the memory that was resident while all were alive. */
static size_t live_together(struct weft_loop *loop, int count)
{
    struct weft_future *future = scene_future(loop);
    begun = ended = 0;
    for (int i = 0; i < count; i++)
        tasks[i] = scene_spawn(loop, wait_for_all, future);
    while (!all_have_begun(count))
        scene_turn(loop);
    size_t resident = resident_bytes();
    CHECK_EQ(fiber_stack_count(loop), count);
    CHECK_EQ(ended, 0);
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    while (ended < count)
        scene_turn(loop);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(weft_future_result(&tasks[i]->future, NULL), 0);
        weft_task_unref(tasks[i]);
    }
    CHECK_EQ(fiber_stack_count(loop), 0);
    weft_future_unref(future);
    return resident;
}

Test(fiber_many, live_at_once_and_leave_nothing, .timeout = 60)
{
    enum stack_guard guard = guard_here();
    int count = guard == STACK_GUARD_PROTECTED && ALIVE_MAX > PROTECTED_MAX ? PROTECTED_MAX : ALIVE_MAX;
    struct weft_loop *loop = scene_epoll_loop();
    size_t before = resident_bytes();
    size_t first = live_together(loop, count);
    size_t second = live_together(loop, count);
    scene_drop(loop);
    size_t after = resident_bytes();
    printf("%d fibers alive at once, guards: %s, resident bytes each: %zu, after: %zu\n", count, stack_guard_name(guard),
           (first - before) / (size_t)count, after > before ? (after - before) / (size_t)count : 0);
    CHECK(second < first + first / 10);
    if (!TEST_SANITIZED) {
        CHECK((first - before) / (size_t)count < 8192); /* two pages: the one that it ran on, and the rest */
        CHECK(after < before + (first - before) / 4);   /* the stacks have gone; the allocator may keep some of the tasks */
    }
}

static int end_at_once(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    ended++;
    return 0;
}

Test(fiber_many, after_each_other_need_the_memory_of_one, .timeout = 60)
{
    struct weft_loop *loop = scene_epoll_loop();
    size_t before = 0;
    for (int i = 0; i < SERIAL; i++) {
        CHECK_EQ(weft_loop_create_fiber(loop, end_at_once, NULL, NULL), 0);
        scene_turn(loop);
        if (i == SERIAL / 10)
            before = resident_bytes();
    }
    CHECK_EQ(ended, SERIAL);
    if (!TEST_SANITIZED)
        CHECK(resident_bytes() < before + ((size_t)1 << 20));
    scene_drop(loop);
}
