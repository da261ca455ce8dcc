/*
 * ENT-8…ENT-10 where steps are stolen. Alone, and where no loops are of one runtime, the same tasks run at home and must say so.
 *
 * A robbery is made certain: the home does not return from a callback before the others have run the task to its end. Otherwise tasks
 * wander: what each awaits is completed on the next loop, often before the step that awaits it is left.
 */
#include <pthread.h>

#include "tests/conformance/actor.h"
#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "tests/support/wait.h"
#include "weft/atomic.h"

enum { WANDERERS = 12, GATES = 5, DEADLINE_MS = 10000 };

struct wanderer {
    struct fixture *fixture;
    struct weft_task *task; /* as its own steps see it; plain, as all that only the task's own order must protect */
    struct weft_loop *ran_on;
    struct weft_future *gates[GATES];
    int step_count;
    bool is_watched;
    uint32_t is_in_step; /* atomic */
    uint32_t shows;      /* atomic: its step asks the watcher to look at `task` and `ran_on`, and waits until it has */
};

/* Which loop shows `id` as its current task; there must be one. */
static struct weft_loop *shown_on(struct fixture *fixture, uint64_t id)
{
    struct weft_loop *found = NULL;
    for (int i = 0; i < house_count(fixture); i++) {
        struct weft_loop *loop = house_loop(fixture, i);
        if (weft_loop_current_task_id(loop) == id) {
            CHECK(found == NULL);
            found = loop;
        }
    }
    CHECK(found != NULL);
    return found;
}

static bool is_unset(void *flag)
{
    return !flag_is_set(flag);
}

/* What each step does: see that it is entered here, and nowhere else. */
static int step_here(void *arg)
{
    struct wanderer *wanderer = arg;
    struct weft_loop *here = weft_get_running_loop();
    struct weft_task *task = current_task();
    CHECK_EQ(weft_atomic_exchange_relaxed(&wanderer->is_in_step, 1), 0);
    CHECK(task != NULL && (wanderer->task == NULL || wanderer->task == task));
    CHECK(shown_on(wanderer->fixture, weft_atomic_load_relaxed(&task->id)) == here);
    CHECK(house_loop(wanderer->fixture, (int)weft_task_ran_on(task)) == here);
    wanderer->task = task;
    wanderer->ran_on = here;
    wanderer->step_count++;
    if (wanderer->is_watched) {
        flag_set(&wanderer->shows);
        CHECK(wait_until(is_unset, &wanderer->shows, DEADLINE_MS));
    }
    weft_atomic_store_relaxed(&wanderer->is_in_step, 0);
    return 0;
}

static struct weft_task *spawn(struct fixture *fixture, struct actor *actor)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_spawn(fixture->loop, actor_coro(fixture, actor), NULL, &task), 0);
    return task;
}

/* ---- robbed ------------------------------------------------------------------------------------------------------------------------- */

struct robbery {
    struct wanderer wanderer;
    struct actor *actor;
    struct weft_task *task;
};

static bool is_done(void *future)
{
    return weft_future_done(future);
}

/* A callback at home: there is no task here meanwhile, whatever the thief shows. */
static int be_robbed(void *arg)
{
    struct robbery *robbery = arg;
    struct fixture *fixture = robbery->wanderer.fixture;
    robbery->task = spawn(fixture, robbery->actor);
    if (has_thieves(fixture))
        await_others(fixture, is_done, &robbery->task->future);
    CHECK(current_task() == NULL);
    CHECK_EQ(weft_loop_current_task_id(fixture->loop), 0);
    return 0;
}

static int step_away_from_home(void *arg)
{
    struct robbery *robbery = arg;
    struct fixture *fixture = robbery->wanderer.fixture;
    CHECK((weft_get_running_loop() != fixture->loop) == has_thieves(fixture));
    CHECK(weft_future_get_loop(&current_task()->future) == fixture->loop);
    return step_here(&robbery->wanderer);
}

static void play_robbery(struct fixture *fixture)
{
    struct robbery robbery = {.wanderer = {.fixture = fixture}};
    robbery.actor = ACTOR(fixture, CALL(step_away_from_home, &robbery), YIELD(), CALL(step_away_from_home, &robbery));
    call_soon(fixture->loop, be_robbed, &robbery);
    run_once(fixture->loop);
    run_until_done(fixture->loop, &robbery.task->future);
    CHECK(robbery.wanderer.task == robbery.task);
    CHECK_EQ(robbery.wanderer.step_count, 2);
    CHECK(house_loop(fixture, (int)weft_task_ran_on(robbery.task)) == robbery.wanderer.ran_on);
    CHECK_EQ(run_task(fixture->loop, robbery.task), 0);
}

TaskRule(ENT_8, a_stolen_step_names_the_loop_that_stole_it_and_keeps_its_home)
{
    for (int i = 0; i < 10; i++)
        play_robbery(fixture);
}

TaskRule(ENT_10, a_stolen_step_is_entered_on_the_thief_before_it_runs)
{
    play_robbery(fixture);
}

/* ---- wandering ------------------------------------------------------------------------------------------------------------------------ */

/* The gate is completed on another loop while this step is still on its way out. */
static int step_to_the_next_loop(void *arg)
{
    struct wanderer *wanderer = arg;
    struct weft_future *gate = wanderer->gates[wanderer->step_count];
    int next = (int)weft_task_ran_on(current_task()) + 1;
    step_here(wanderer);
    return weft_loop_call_soon_threadsafe(house_loop(wanderer->fixture, next), resolve, gate, NULL, NULL);
}

static struct weft_task *wander(struct fixture *fixture, struct wanderer *wanderer, bool is_watched)
{
    struct act acts[ACTS_MAX] = {{.kind = ACT_END}};
    wanderer->fixture = fixture;
    wanderer->is_watched = is_watched;
    for (int i = 0; i < GATES; i++) {
        wanderer->gates[i] = future_new(fixture->loop);
        acts[2 * i] = CALL(step_to_the_next_loop, wanderer);
        acts[2 * i + 1] = AWAIT(wanderer->gates[i]);
    }
    acts[2 * GATES] = CALL(step_here, wanderer);
    return spawn(fixture, actor_new(fixture, acts));
}

static void wander_to_the_end(struct fixture *fixture, struct wanderer wanderers[], bool is_watched)
{
    struct weft_task *tasks[WANDERERS];
    for (int i = 0; i < WANDERERS; i++)
        tasks[i] = wander(fixture, &wanderers[i], is_watched);
    for (int i = 0; i < WANDERERS; i++)
        CHECK_EQ(run_task(fixture->loop, tasks[i]), 0);
    for (int i = 0; i < WANDERERS; i++) {
        CHECK_EQ(wanderers[i].step_count, GATES + 1);
        for (int k = 0; k < GATES; k++)
            weft_future_unref(wanderers[i].gates[k]);
    }
}

TaskRule(ENT_10, a_step_is_left_before_its_task_can_be_made_ready_elsewhere)
{
    struct wanderer wanderers[WANDERERS] = {{.fixture = fixture}};
    wander_to_the_end(fixture, wanderers, false);
}

/* ---- watched -------------------------------------------------------------------------------------------------------------------------- */

struct watcher {
    struct fixture *fixture;
    struct wanderer wanderers[WANDERERS];
    uint32_t is_over;
};

/* A thread of no loop looks at those that hold still in their steps. */
static void *watch(void *arg)
{
    struct watcher *watcher = arg;
    int seen_count = 0;
    while (!flag_is_set(&watcher->is_over)) {
        for (int i = 0; i < WANDERERS; i++) {
            struct wanderer *wanderer = &watcher->wanderers[i];
            if (!flag_is_set(&wanderer->shows))
                continue;
            CHECK(shown_on(watcher->fixture, weft_atomic_load_relaxed(&wanderer->task->id)) == wanderer->ran_on);
            seen_count++;
            weft_atomic_store_release(&wanderer->shows, 0); /* Pairs with the acquire in flag_is_set(), of the step. */
        }
        weft_atomic_pause();
    }
    CHECK_EQ(seen_count, WANDERERS * (GATES + 1));
    return NULL;
}

TaskRule(ENT_9, a_task_that_is_stolen_is_current_on_one_loop_at_a_time)
{
    struct watcher watcher = {.fixture = fixture};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, watch, &watcher), 0);
    wander_to_the_end(fixture, watcher.wanderers, true);
    flag_set(&watcher.is_over);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}
