/*
 * A fiber that goes to another loop at every await, and reads there what belongs to a thread: the running loop, the current task, a
 * thread-local of the program's own, the errno of a call that fails, a context variable. All in one straight line, so that a compiler could
 * keep the address of a thread-local from before an await if anything let it: `--config=lto` compiles library and test as one program at
 * -O3, where weft_await() is inlined into the line.
 *
 * That it can fail is shown by `errno`, whose function glibc declares `const`: with it in the place of weft_errno() below, gcc 12 and
 * clang 14 call __errno_location() once for the whole line from -O1 on, and the test fails at its first hop. A thread-local that is named in
 * the line itself is as wrong, though in a program for x86-64 it happens to be read relative to the thread's register each time.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "tests/task/scene.h"
#include "weft/atomic.h"
#include "weft/context.h"
#include "weft/runtime.h"

enum { LOOPS = 4, WALKERS = 3, ROUNDS = TEST_IS_SLOW ? 300 : 2000, HOPS = 8 * ROUNDS };

static struct weft_runtime *runtime;
static const struct weft_context_var walker_var = WEFT_CONTEXT_VAR("walker", NULL);
static _Thread_local uint32_t own_index;

/* A call that the compiler must make each time, and whose result it does not know: clang takes the address for a constant otherwise. */
static __attribute__((noinline)) uint32_t *find_own_index(void)
{
    uint32_t *index = &own_index;
    __asm__ volatile("" : "+r"(index));
    return index;
}

struct walker {
    struct weft_task *task;
    uint32_t round;
    uint32_t hops, moves;
};

static struct weft_loop *loop_at(uint32_t index)
{
    return weft_runtime_loop(runtime, index % LOOPS);
}

/* A hop under way, in the walker's frame. */
struct hop {
    struct weft_future *future;
    struct weft_loop *from;
    uint64_t walker_id;
};

static int let_go_on(void *arg)
{
    struct hop *hop = arg;
    struct weft_future *future = hop->future;
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    weft_future_unref(future);
    return 0;
}

/* Not before it hangs on the future: it would not have to wait. An iteration after it has left its loop it does. */
static int let_go_on_soon(void *arg)
{
    struct hop *hop = arg;
    bool has_left = weft_loop_current_task_id(hop->from) != hop->walker_id;
    return weft_loop_call_soon(weft_get_running_loop(), has_left ? let_go_on : let_go_on_soon, hop, NULL, NULL);
}

/* Wait for the next loop: who is woken there goes on there, unless a loop that has nothing to do is quicker. */
static inline __attribute__((always_inline)) void go_on(const struct walker *walker, uint32_t index)
{
    struct hop hop = {.from = loop_at(index), .walker_id = weft_atomic_load_relaxed(&walker->task->id)};
    CHECK_EQ(weft_loop_create_future(hop.from, &hop.future), 0);
    (void)weft_future_ref(hop.future); /* the callback's */
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop_at(index + 1), let_go_on_soon, &hop, NULL, NULL), 0);
    CHECK_EQ(weft_await(hop.future, NULL), 0);
    weft_future_unref(hop.future);
}

/* Everything, on one side of an await. `status` is of a call that must have failed with `code`. */
static inline __attribute__((always_inline)) uint32_t look(const struct walker *walker, int status, int code)
{
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_task *task;
    CHECK_EQ(status, -1);
    CHECK_EQ(weft_errno(), code);
    CHECK(loop != NULL);
    CHECK_EQ(weft_current_task(&task), 0);
    CHECK(task == walker->task);
    CHECK_EQ(weft_task_ran_on(task), weft_loop_index(loop));
    CHECK_EQ(weft_loop_current_task_id(loop), weft_atomic_load_relaxed(&task->id));
    CHECK_EQ(*find_own_index(), weft_loop_index(loop));
    CHECK(weft_context_var_get(&walker_var) == walker);
    return weft_loop_index(loop);
}

/* A call that fails with EBADF before the await, and one that fails with EINVAL after it: a loop's thread that we left has EBADF. */
static inline __attribute__((always_inline)) void hop(struct walker *walker)
{
    uint32_t before = look(walker, close(-1), EBADF);
    go_on(walker, before);
    uint32_t after = look(walker, kill(0, 9999), EINVAL);
    walker->hops++;
    walker->moves += after != before;
}

static int walk(void *arg, void **result_out)
{
    struct walker *walker = arg;
    struct weft_context_token token;
    (void)result_out;
    walker->task = scene_task_here();
    CHECK_EQ(weft_context_var_set(&walker_var, walker, &token), 0);
    for (; walker->round < ROUNDS; walker->round++) {
        hop(walker);
        hop(walker);
        hop(walker);
        hop(walker);
        hop(walker);
        hop(walker);
        hop(walker);
        hop(walker);
    }
    CHECK_EQ(weft_context_var_reset(&token), 0);
    return 0;
}

static int mark_thread(void *arg)
{
    (void)arg;
    *find_own_index() = weft_loop_index(weft_get_running_loop());
    return 0;
}

static void open_runtime(void)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = LOOPS;
    CHECK_EQ(weft_runtime_create(&options, &runtime), 0);
    for (uint32_t i = 0; i < LOOPS; i++)
        CHECK_EQ(weft_loop_call_soon(loop_at(i), mark_thread, NULL, NULL, NULL), 0);
    CHECK_EQ(weft_runtime_start(runtime), 0);
}

Test(migration, keeps_thread_locals_errno_and_current_task_apart, .timeout = 120)
{
    struct walker walkers[WALKERS] = {{.round = 0}};
    struct weft_task *tasks[WALKERS];
    open_runtime();
    for (uint32_t i = 0; i < WALKERS; i++)
        CHECK_EQ(weft_loop_spawn_fiber(loop_at(i), walk, &walkers[i], &tasks[i]), 0);
    for (int i = 0; i < WALKERS; i++) {
        CHECK_EQ(weft_future_wait(&tasks[i]->future, -1, NULL), 0);
        weft_task_unref(tasks[i]);
        CHECK_EQ(walkers[i].hops, HOPS);
        CHECK(walkers[i].moves > HOPS / 8); /* on an idle machine nearly each; a busy one lets the wrong loop be quicker */
    }
    CHECK_EQ(weft_runtime_shutdown(runtime, 20 * SECOND), 0);
    weft_runtime_destroy(runtime);
}
