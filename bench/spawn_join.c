/*
 * What does it cost to give work away and to have it done: a job that is forked and joined, a task that is created and awaited?
 *
 * Tasks that end at once: `step` and `fiber` are created, and so pinned to the loop; `spawn_step` and `spawn_fiber` are spawned, so that any
 * loop may take them; each is awaited, by a parent of its kind, before the next one is made, or as many as the name says are made, and then
 * awaited. `eager` is a step that does its first step, which is its last, inside the creating call, as asyncio's eager tasks: no turn of the
 * loop, and nothing to wait for. `batch_256` is what Go's and tokio's tasks are compared with: spawned steps. `typed_job`, `generic_job` (a closure) and `checked_job` (weft_fork()) are forks
 * that nobody takes; a call of the same function is `call`. `job_start` has each job start the next one as it ends, from a callback; `job_start_thread` starts them
 * from a thread outside of the runtime, and waits. With a second loop, that one has nothing to do but to steal.
 */
#include <errno.h>

#include "bench/kit/tasks.h"
#include "weft/job.h"

enum { BATCH = 256, TASKS = 1024 * BATCH, FORKS = 20000000, STARTS = 50000, STARTS_THREAD = 5000, QUICK = 100 };

static int scaled(const struct kit *kit, int count)
{
    return kit->is_quick ? count / QUICK : count;
}

/* ---- tasks -------------------------------------------------------------------------------------------------------------------------- */

/* What a family of cases does: steps or fibers, created or spawned, so many at once. */
struct lives {
    bool are_fibers;
    bool are_spawned;
    int at_once;
    bool are_eager;
};

static struct weft_task *begin_life(const struct kit *kit, const struct lives *lives)
{
    struct weft_coro *coro = lives->are_fibers ? tasks_fiber(kit, tasks_fiber_ends, NULL) : tasks_step(kit, tasks_step_ends, 0, NULL);
    struct weft_task_options eager = WEFT_TASK_OPTIONS;
    struct weft_task *task;
    eager.flags = WEFT_TASK_EAGER_START;
    if (lives->are_spawned)
        kit_must(kit, weft_loop_spawn(weft_get_running_loop(), coro, NULL, &task), "a spawn");
    else
        kit_must(kit, weft_loop_create_task(weft_get_running_loop(), coro, lives->are_eager ? &eager : NULL, &task), "a task");
    return task;
}

/* A step that begins lives one by one and awaits each. */
struct parent {
    const struct kit *kit;
    struct weft_task *child;
    int left;
};

static int parent_goes_on(struct weft_step *step, void *state, int status)
{
    struct parent *parent = state;
    kit_must(parent->kit, status, "a child");
    weft_task_unref(parent->child);
    parent->child = NULL;
    if (parent->left-- == 0)
        return weft_step_return(step, NULL);
    parent->child = begin_life(parent->kit, parent->kit->arg);
    return weft_step_await(step, &parent->child->future, 0);
}

/* As parent_goes_on(), of children that may be over as they are awaited: then it just goes on. */
static int eager_parent_goes_on(struct weft_step *step, void *state, int status)
{
    struct parent *parent = state;
    WEFT_STEP_BEGIN(step, status);
    while (parent->left-- > 0) {
        parent->child = begin_life(parent->kit, parent->kit->arg);
        WEFT_STEP_AWAIT(step, &parent->child->future, status);
        kit_must(parent->kit, status, "a child");
        weft_task_unref(parent->child);
    }
    WEFT_STEP_END(step, NULL);
}

static void live_in_steps(const struct kit *kit, int count)
{
    const struct lives *lives = kit->arg;
    void *state;
    weft_step_fn *goes_on = lives->are_eager ? eager_parent_goes_on : parent_goes_on;
    struct weft_coro *coro = tasks_step(kit, goes_on, sizeof(struct parent), &state);
    *(struct parent *)state = (struct parent){kit, NULL, count};
    tasks_finish(kit, tasks_start(kit, coro));
}

static void live_in_a_fiber(const struct kit *kit, int count)
{
    const struct lives *lives = kit->arg;
    struct weft_task *tasks[BATCH];
    for (int i = 0; i < count; i += lives->at_once) {
        for (int j = 0; j < lives->at_once; j++)
            tasks[j] = begin_life(kit, lives);
        for (int j = 0; j < lives->at_once; j++)
            tasks_finish(kit, tasks[j]);
    }
}

static void live(const struct kit *kit, int count)
{
    const struct lives *lives = kit->arg;
    bool are_lone_steps = !lives->are_fibers && lives->at_once == 1;
    (are_lone_steps ? live_in_steps : live_in_a_fiber)(kit, count);
}

/* What another loop may take happens in two threads. */
static void measure_lives(struct kit *kit)
{
    int count = scaled(kit, TASKS) / BATCH * BATCH;
    bool is_shared = ((const struct lives *)kit->arg)->are_spawned && kit->loops > 1;
    live(kit, count / 8 / BATCH * BATCH);
    kit_start(kit);
    live(kit, count);
    (is_shared ? kit_stop : kit_stop_alone)(kit, "ns", count);
}

static void run_lives(struct kit *kit)
{
    tasks_within(kit, NULL, measure_lives);
}

/* ---- forks -------------------------------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static long add_one(long n)
{
    __asm__ __volatile__("" : "+r"(n));
    return n + 1;
}

WEFT_JOB(long, lone, long, n)
{
    return add_one(n);
}

WEFT_JOB(long, fork_often, int, count)
{
    long sum = 0;
    for (int i = 0; i < count; i++) {
        WEFT_FORK(lone, sum);
        sum = WEFT_JOIN(lone);
    }
    return sum;
}

static long fork_typed(const struct kit *kit, int count)
{
    long sum = 0;
    kit_must(kit, WEFT_RUN(fork_often, count, &sum), "a run");
    return sum;
}

static int lone_generic(void *arg)
{
    long *sum = arg;
    *sum = add_one(*sum);
    return 0;
}

static long fork_checked(const struct kit *kit, int count)
{
    long sum = 0;
    for (int i = 0; i < count; i++) {
        struct weft_fork fork;
        kit_must(kit, weft_fork(&fork, lone_generic, &sum), "a fork");
        kit_must(kit, weft_join(&fork), "a join");
    }
    return sum;
}

static int lone_closure(struct weft_job_stack *stack, void *arg)
{
    (void)stack;
    return lone_generic(arg);
}

struct closures {
    int count;
    long sum;
};

static int fork_closures(struct weft_job_stack *stack, void *arg)
{
    struct closures *closures = arg;
    for (int i = 0; i < closures->count; i++) {
        weft_closure_fork(stack, lone_closure, &closures->sum);
        (void)weft_closure_join(stack);
    }
    return 0;
}

static long fork_generic(const struct kit *kit, int count)
{
    struct closures closures = {count, 0};
    int result;
    kit_must(kit, weft_closure_run(fork_closures, &closures, &result), "a run");
    return closures.sum;
}

static long call_often(const struct kit *kit, int count)
{
    long sum = 0;
    (void)kit;
    for (int i = 0; i < count; i++)
        sum = add_one(sum);
    return sum;
}

struct forks {
    long (*fork)(const struct kit *kit, int count);
};

static void measure_forks(struct kit *kit)
{
    const struct forks *forks = kit->arg;
    int count = scaled(kit, FORKS);
    (void)forks->fork(kit, count / 8);
    kit_start(kit);
    long sum = forks->fork(kit, count);
    kit_stop_alone(kit, "ns", count);
    kit_check(kit, sum == count, "the sum");
}

static void run_forks(struct kit *kit)
{
    tasks_within(kit, NULL, measure_forks);
}

/* ---- jobs started where no fiber runs ----------------------------------------------------------------------------------------------- */

/* Each job's end starts the next one, on the loop that the callbacks belong to. */
struct chain {
    const struct kit *kit;
    struct weft_loop *loop;
    struct weft_future *done;
    int left;
};

static int start_next(void *arg);

static int job_has_ended(struct weft_future *future, void *arg)
{
    struct chain *chain = arg;
    weft_future_unref(future);
    return --chain->left > 0 ? start_next(chain) : weft_future_set_result(chain->done, NULL);
}

static int start_next(void *arg)
{
    struct chain *chain = arg;
    struct weft_task *task;
    kit_must(chain->kit, weft_job_start(chain->loop, tasks_fiber_ends, NULL, &task), "a start");
    kit_must(chain->kit, weft_future_add_done_callback(&task->future, job_has_ended, chain, NULL), "a callback");
    return 0;
}

static void run_chain(const struct kit *kit, int count)
{
    struct chain chain = {.kit = kit, .loop = weft_get_running_loop(), .left = count};
    kit_must(kit, weft_loop_create_future(chain.loop, &chain.done), "a future");
    kit_must(kit, weft_loop_call_soon(chain.loop, start_next, &chain, NULL, NULL), "a call");
    kit_must(kit, weft_await(chain.done, NULL), "a chain");
    weft_future_unref(chain.done);
}

static void measure_chain(struct kit *kit)
{
    int count = scaled(kit, STARTS);
    run_chain(kit, count / 8);
    kit_start(kit);
    run_chain(kit, count);
    kit_stop(kit, "ns", count);
}

static void run_job_start(struct kit *kit)
{
    tasks_within(kit, NULL, measure_chain);
}

static void start_from_here(const struct kit *kit, struct weft_loop *loop, int count)
{
    for (int i = 0; i < count; i++) {
        struct weft_task *task;
        kit_must(kit, weft_job_start(loop, tasks_fiber_ends, NULL, &task), "a start");
        kit_must(kit, weft_future_wait(&task->future, -1, NULL), "a job");
        weft_task_unref(task);
    }
}

static void run_job_start_thread(struct kit *kit)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    int count = scaled(kit, STARTS_THREAD);
    options.loops = kit->loops;
    kit_must(kit, weft_runtime_create(&options, &runtime), "a runtime");
    kit_must(kit, weft_runtime_start(runtime), "its start");
    start_from_here(kit, weft_runtime_loop(runtime, 0), count / 8);
    kit_start(kit);
    start_from_here(kit, weft_runtime_loop(runtime, 0), count);
    kit_stop(kit, "ns", count);
    weft_runtime_destroy(runtime);
}

int main(int argc, char **argv)
{
    static const struct lives step = {false, false, 1, false}, steps = {false, false, BATCH, false}, fiber = {true, false, 1, false},
                              fibers = {true, false, BATCH, false};
    static const struct lives eager = {false, false, 1, true};
    static const struct lives spawn_step = {false, true, 1, false}, spawn_steps = {false, true, BATCH, false};
    static const struct lives spawn_fiber = {true, true, 1, false}, spawn_fibers = {true, true, BATCH, false};
    static const struct forks call = {call_often}, typed = {fork_typed}, generic = {fork_generic}, checked = {fork_checked};
    static const struct kit_case cases[] = {
        {"spawn_join", "step", run_lives, &step, 0},
        {"spawn_join", "eager", run_lives, &eager, 0},
        {"spawn_join", "fiber", run_lives, &fiber, 0},
        {"spawn_join", "batch_256", run_lives, &spawn_steps, 0},
        {"spawn_join", "step_batch_256", run_lives, &steps, 0},
        {"spawn_join", "fiber_batch_256", run_lives, &fibers, 0},
        {"spawn_join", "spawn_step", run_lives, &spawn_step, 0},
        {"spawn_join", "spawn_fiber", run_lives, &spawn_fiber, 0},
        {"spawn_join", "spawn_fiber_batch_256", run_lives, &spawn_fibers, 0},
        {"spawn_join", "call", run_forks, &call, 1},
        {"spawn_join", "typed_job", run_forks, &typed, 0},
        {"spawn_join", "generic_job", run_forks, &generic, 0},
        {"spawn_join", "checked_job", run_forks, &checked, 0},
        {"spawn_join", "job_start", run_job_start, NULL, 0},
        {"spawn_join", "job_start_thread", run_job_start_thread, NULL, 0},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
