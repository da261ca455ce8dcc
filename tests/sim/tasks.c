/*
 * Tasks: work of every kind on four loops that steal from each other, cancelled at random from anywhere.
 *
 * Each body runs once or, if it was cancelled before, never; each task ends once, and its done callback is called once; a sum that is
 * computed in forked jobs is right; and a plain callback does not wait longer than its loop's budget lets it, however much there is to steal.
 */
#include <errno.h>
#include <string.h>

#include "tests/sim/scenario.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/gather.h"
#include "weft/group.h"
#include "weft/job.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/status.h"

enum { LOOPS = 4, ITEMS = 60, DEPTH_MAX = 7, FLOOD = 400, BEATS = 40, BEAT_ROUNDS_MAX = 3, BUDGET = 61 };

struct world;

struct item {
    struct world *world;
    struct weft_task *task; /* NULL: not started, or seen off */
    uint32_t begun;
    uint32_t ended;
    uint32_t heard; /* its done callback */
};

struct beat {
    struct world *world;
    struct weft_loop *loop;
    uint64_t queued; /* the round in which it was */
    int left;
    uint32_t flooded; /* steps of the flood on this loop since the last beat */
};

struct world {
    struct trial *trial;
    struct weft_sim *sim;
    struct weft_runtime *runtime;
    struct item items[ITEMS];
    struct beat beats[LOOPS];
    uint32_t jobs_run; /* of the executor */
    bool is_late;      /* loops are passed over, so that rounds say little */
};

/* ---- what tasks do -------------------------------------------------------------------------------------------------------------- */

struct sum {
    struct world *world;
    uint32_t depth;
    uint64_t value;
};

static int add_up(void *arg)
{
    struct sum *sum = arg;
    if (sum->depth == 0) {
        sum->value = 1;
        return 0;
    }
    struct sum left = {sum->world, sum->depth - 1, 0}, right = {sum->world, sum->depth - 1, 0};
    struct weft_fork fork = {.fn = NULL};
    int forked = weft_fork(&fork, add_up, &left);
    EXPECT_EQ(sum->world->trial, forked, 0);
    int status = add_up(&right);
    int joined = weft_join(&fork);
    sum->value = left.value + right.value;
    return status < 0 ? status : joined;
}

static int compute(struct world *world)
{
    struct sum sum = {world, (uint32_t)trial_random(world->trial, DEPTH_MAX), 0};
    int status = add_up(&sum);
    if (status >= 0)
        EXPECT_EQ(world->trial, sum.value, UINT64_C(1) << sum.depth);
    return status;
}

static int doze(void *arg, void **result_out)
{
    struct world *world = arg;
    (void)result_out;
    return weft_sleep((int64_t)trial_random(world->trial, 20) * MS_NS);
}

static int wait_in_group(struct world *world)
{
    struct weft_group group = WEFT_GROUP_INIT;
    int status = weft_group_enter(&group);
    EXPECT_EQ(world->trial, status, 0);
    for (uint64_t i = trial_random(world->trial, 4); i > 0 && status >= 0; i--)
        status = weft_group_spawn_fiber(&group, doze, world, NULL);
    status = weft_group_exit(&group, status);
    weft_group_fini(&group);
    return status;
}

static int gather_some(struct world *world)
{
    struct weft_future *futures[3], *all;
    int status = 0;
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(world->trial, weft_loop_sleep(weft_get_running_loop(), (int64_t)trial_random(world->trial, 10) * MS_NS, &futures[i]), 0);
    EXPECT_EQ(world->trial, weft_gather(weft_get_running_loop(), futures, 3, 0, &all), 0);
    status = weft_await(all, NULL);
    weft_future_unref(all);
    for (int i = 0; i < 3; i++)
        weft_future_unref(futures[i]);
    return status;
}

static int count_job(void *arg, void **result_out)
{
    struct world *world = arg;
    (void)result_out;
    world->jobs_run++;
    return 0;
}

static int ask_executor(struct world *world)
{
    struct weft_future *future;
    EXPECT_EQ(world->trial, weft_loop_run_in_executor(weft_get_running_loop(), count_job, world, &future), 0);
    int status = weft_await(future, NULL);
    weft_future_unref(future);
    return status;
}

static int wait_for_another(struct world *world)
{
    struct weft_task *task = world->items[trial_random(world->trial, ITEMS)].task, *self = NULL;
    (void)weft_current_task(&self);
    if (task == NULL || task == self)
        return weft_sleep(0);
    weft_task_ref(task);
    int status = weft_wait_for(&task->future, (int64_t)trial_random(world->trial, 15) * MS_NS, NULL);
    weft_task_unref(task);
    return status == -ETIMEDOUT || status == WEFT_EAWAITSELF ? 0 : status;
}

static void cancel_another(struct world *world)
{
    struct weft_task *task = world->items[trial_random(world->trial, ITEMS)].task;
    if (task != NULL)
        (void)weft_task_cancel(task, "chance");
}

static int do_something(struct world *world)
{
    switch (trial_random(world->trial, 8)) {
    case 0:
        return compute(world);
    case 1:
        return wait_in_group(world);
    case 2:
        return gather_some(world);
    case 3:
        return ask_executor(world);
    case 4:
        return wait_for_another(world);
    case 5:
        cancel_another(world);
        return 0;
    case 6:
        return doze(world, NULL);
    default:
        return weft_sleep(0);
    }
}

static int item_main(void *arg, void **result_out)
{
    struct item *item = arg;
    int status = 0;
    (void)result_out;
    EXPECT_EQ(item->world->trial, item->begun++, 0);
    for (uint64_t i = 1 + trial_random(item->world->trial, 6); i > 0 && status >= 0; i--)
        status = do_something(item->world);
    EXPECT_EQ(item->world->trial, item->ended++, 0);
    return status;
}

/* ---- the flood, and what must get through ---------------------------------------------------------------------------------------- */

static void count_step(struct world *world)
{
    const struct weft_loop *loop = weft_get_running_loop();
    for (int i = 0; i < LOOPS; i++)
        world->beats[i].flooded += world->beats[i].loop == loop;
}

static int flood(void *arg, void **result_out)
{
    struct world *world = arg;
    int status = 0;
    (void)result_out;
    for (int i = 0; i < FLOOD / ITEMS && status >= 0; i++) {
        count_step(world);
        status = weft_sleep(0);
    }
    return status;
}

static uint64_t round_now(const struct world *world)
{
    struct weft_sim_counters counters;
    EXPECT_EQ(world->trial, weft_sim_get_counters(world->sim, &counters), 0);
    return counters.rounds;
}

static int beat(void *arg)
{
    struct beat *self = arg;
    uint64_t now = round_now(self->world);
    if (!self->world->is_late)
        EXPECT(self->world->trial, now - self->queued <= BEAT_ROUNDS_MAX);
    EXPECT(self->world->trial, self->flooded <= BUDGET); /* a late loop, too, owes it that */
    self->flooded = 0;
    self->queued = now;
    return --self->left == 0 ? 0 : weft_loop_call_soon(self->loop, beat, self, NULL, NULL);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

static int hear(struct weft_future *future, void *arg)
{
    struct item *item = arg;
    EXPECT(item->world->trial, future == &item->task->future && weft_future_done(future));
    EXPECT_EQ(item->world->trial, item->heard++, 0);
    return 0;
}

static void start_item(struct world *world, uint32_t index)
{
    struct weft_loop *loop = weft_runtime_loop(world->runtime, (uint32_t)trial_random(world->trial, LOOPS));
    struct item *item = &world->items[index];
    item->world = world;
    if (trial_chance(world->trial, 700))
        EXPECT_EQ(world->trial, weft_loop_spawn_fiber(loop, item_main, item, &item->task), 0);
    else
        EXPECT_EQ(world->trial, weft_loop_create_fiber(loop, item_main, item, &item->task), 0);
    EXPECT_EQ(world->trial, weft_future_add_done_callback(&item->task->future, hear, item, NULL), 0);
}

static int main_fiber(void *arg, void **result_out)
{
    struct world *world = arg;
    (void)result_out;
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct weft_task *task = world->items[i].task;
        (void)weft_wait_for(&task->future, 3600 * SECOND_NS, NULL);
        EXPECT(world->trial, weft_future_done(&task->future));
        EXPECT_EQ(world->trial, world->items[i].begun, world->items[i].ended);
        EXPECT(world->trial, world->items[i].begun == 1 || weft_future_cancelled(&task->future));
    }
    return 0;
}

static void boot(struct world *world)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_sim_host *host = trial_host(world->trial, world->sim, NULL), *before = weft_sim_host_enter(host);
    options.loops = LOOPS;
    EXPECT_EQ(world->trial, weft_runtime_create(&options, &world->runtime), 0);
    (void)weft_sim_host_enter(before);
    for (uint32_t i = 0; i < LOOPS; i++) {
        world->beats[i] = (struct beat){.world = world, .loop = weft_runtime_loop(world->runtime, i), .left = BEATS};
        EXPECT_EQ(world->trial, weft_loop_call_soon(world->beats[i].loop, beat, &world->beats[i], NULL, NULL), 0);
    }
    for (uint32_t i = 0; i < ITEMS; i++) {
        start_item(world, i);
        EXPECT_EQ(world->trial, weft_loop_spawn_fiber(weft_runtime_loop(world->runtime, i % LOOPS), flood, world, NULL), 0);
    }
}

static void play(struct trial *trial)
{
    static struct world world;
    struct weft_sim_options options = trial_options(trial);
    struct weft_coro *coro;
    memset(&world, 0, sizeof(world));
    world.trial = trial;
    options.late_permille = trial_chance(trial, 500) ? (uint32_t)trial_random(trial, 600) : 0;
    options.stealable_max = (uint32_t)trial_random(trial, 61);
    world.is_late = options.late_permille != 0;
    EXPECT_EQ(trial, weft_sim_create(&options, &world.sim), 0);
    boot(&world);
    EXPECT_EQ(trial, weft_fiber_new(main_fiber, &world, NULL, &coro), 0);
    EXPECT_EQ(trial, weft_runtime_run(world.runtime, coro, NULL), 0);
    EXPECT_EQ(trial, weft_runtime_shutdown(world.runtime, -1), 0);
    weft_runtime_destroy(world.runtime);
    for (uint32_t i = 0; i < ITEMS; i++) {
        EXPECT_EQ(trial, world.items[i].heard, 1);
        weft_task_unref(world.items[i].task);
    }
    trial_end(trial, world.sim);
    weft_sim_destroy(world.sim);
}

const struct scenario scenario_tasks = {
    .name = "tasks",
    .about = "fibers, jobs, groups and the executor on four loops that steal, cancelled at random",
    .seeds = 4000,
    .play = play,
    .pinned = {UINT64_C(0x869b26e386b5af8d), UINT64_C(0xf3453ac752a7db2f)},
};
