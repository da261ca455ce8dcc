/*
 * Models of a runtime's words: start, nudge, hooks of the shutdown, stop, and who conducts.
 *
 * lib/runtime/runtime.c, threads.c and shutdown.c are real, on the loops and threads of runtime_stand_in.h.
 */
#include <errno.h>

#include "tests/model/checker.h"
#include "tests/model/runtime_stand_in.h"
#include "weft/status.h"

static void thread_0(void)
{
    thread_stand_in(0);
}

static void thread_1(void)
{
    thread_stand_in(1);
}

static void setup(void)
{
    runtime_stand_in_setup(&runtime_driver_threads);
}

static void end(void)
{
    MODEL_CHECK(!loop_stand_in(0)->is_inside && !loop_stand_in(1)->is_inside);
    runtime_stand_in_end();
}

/* ---- start and stop ----------------------------------------------------------------------------------------------------------------- */

/* From the return of start on every loop has been entered by its own thread, and what entering wrote is seen. */
static void start_and_stop(void)
{
    MODEL_CHECK(weft_runtime_start(runtime) == 0);
    MODEL_CHECK(loop_stand_in(0)->entered == 1 && loop_stand_in(1)->entered == 1);
    MODEL_CHECK(weft_runtime_stop(runtime) == 0);
    MODEL_CHECK(loop_stand_in(1)->turns <= 2);
}

/* ---- nudges ------------------------------------------------------------------------------------------------------------------------- */

static uint32_t flags[2]; /* atomic */
static unsigned parcels[2];

static void nudge(unsigned index)
{
    parcels[index] = 1;
    weft_atomic_store_relaxed(&flags[index], 1);
    runtime_nudge(&runtime->loops[1]);
}

static void nudge_0(void)
{
    nudge(0);
}

static void nudge_1(void)
{
    nudge(1);
}

/* Sleeps unless it sees what it waits for; the nudge of whoever brought that makes it look again, and see. */
static void turn_until_both(void)
{
    struct weft_loop *loop = &loop_stand_in(1)->loop;
    MODEL_CHECK(loop_enter(loop) == 0);
    while (weft_atomic_load_relaxed(&flags[0]) == 0 || weft_atomic_load_relaxed(&flags[1]) == 0)
        (void)loop_turn(loop, true);
    loop_leave(loop);
}

/* ---- one conductor -------------------------------------------------------------------------------------------------------------------- */

static unsigned running_count; /* plain: the conductor's */

static int start_nothing(struct weft_runtime *of, bool with_main)
{
    (void)of, (void)with_main;
    running_count++;
    return 0;
}

static void stop_nothing(struct weft_runtime *of)
{
    (void)of;
    running_count--;
}

static int open_nothing(struct weft_runtime *of)
{
    (void)of;
    return 0;
}

static void close_nothing(struct weft_runtime *of)
{
    (void)of;
}

static const struct runtime_driver no_driver = {
    .open = open_nothing, .close = close_nothing, .start = start_nothing, .stop = stop_nothing, .kind = weft_loop_kind_epoll};

static void setup_no_driver(void)
{
    runtime_stand_in_setup(&no_driver);
    running_count = 1;
}

static void start_alone(void)
{
    int status = weft_runtime_start(runtime);
    MODEL_CHECK(status == 0 || status == WEFT_ERUNNING);
}

static void stop_alone(void)
{
    int status = weft_runtime_stop(runtime);
    MODEL_CHECK(status == 0 || status == WEFT_ERUNNING);
}

static void check_alone(void)
{
    MODEL_CHECK(running_count == 1u + runtime->are_others_running);
    runtime->are_others_running = false;
    runtime_stand_in_end();
}

static struct model_token told;

static void start_and_tell(void)
{
    start_alone();
    model_signal(&told);
}

static void stop_when_told(void)
{
    model_wait(&told);
    MODEL_CHECK(weft_runtime_stop(runtime) == 0);
}

/* ---- hooks of the shutdown -------------------------------------------------------------------------------------------------------------- */

static unsigned hooked[2][2]; /* plain: per hook and loop */

static void hook_0(struct weft_loop *loop, void *arg)
{
    (void)arg;
    hooked[0][(struct loop_stand_in *)loop - loop_stand_in(0)]++;
}

static void hook_1(struct weft_loop *loop, void *arg)
{
    (void)arg;
    unsigned index = (unsigned)((struct loop_stand_in *)loop - loop_stand_in(0));
    MODEL_CHECK(hooked[0][index] == 1); /* in order */
    hooked[1][index]++;
}

static struct runtime_hook hooks[2] = {{.step = RUNTIME_STEP_ACCEPT, .fn = hook_0}, {.step = RUNTIME_STEP_DRAIN, .fn = hook_1}};

static void setup_hooks(void)
{
    setup();
    runtime_at_shutdown(runtime, &hooks[0]);
    runtime_at_shutdown(runtime, &hooks[1]);
}

/* Each step waits for its hooks, and sees what they did. */
static void shut_down(void)
{
    MODEL_CHECK(runtime_shutdown_until(runtime, RUNTIME_STEP_DRAIN, -1) == 0);
    MODEL_CHECK(hooked[0][0] == 1 && hooked[0][1] == 1);
    MODEL_CHECK(runtime_shutdown_until(runtime, RUNTIME_STEP_CANCEL, -1) == 0);
    MODEL_CHECK(hooked[1][0] == 1 && hooked[1][1] == 1);
    MODEL_CHECK(runtime_shutdown_until(runtime, RUNTIME_STEP_QUIESCE, -1) == 0);
}

static void refuse_and_accept_no_more(void)
{
    MODEL_CHECK(runtime_shutdown_until(runtime, RUNTIME_STEP_DRAIN, -1) == 0);
    MODEL_CHECK(runtime_shutdown_until(runtime, RUNTIME_STEP_DRAIN, -1) == 0);
    MODEL_CHECK(runtime_stop(runtime) == 0);
}

/* Gives up the first step at its deadline, and then has time. */
static void shut_down_at_last(void)
{
    (void)runtime_shutdown_until(runtime, RUNTIME_STEP_ACCEPT, 1);
    (void)runtime_shutdown_until(runtime, RUNTIME_STEP_DRAIN, -1);
    MODEL_CHECK(hooked[0][0] == 1 && hooked[0][1] == 1);
    (void)runtime_shutdown_until(runtime, RUNTIME_STEP_QUIESCE, -1);
}

/* The deadline may pass at any time: each step then copes with what the one before left. */
static void shut_down_in_time(void)
{
    int status = runtime_shutdown_until(runtime, RUNTIME_STEP_QUIESCE, 1);
    MODEL_CHECK(status == 0 || status == -ETIMEDOUT);
    MODEL_CHECK(status != 0 || (hooked[1][0] == 1 && hooked[1][1] == 1));
}

static void check_hooks(void)
{
    end();
    for (unsigned i = 0; i < 4; i++)
        MODEL_CHECK(hooked[i / 2][i % 2] <= 1);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Nudges, and then says what for. */
static void nudge_swapped(void)
{
    runtime_nudge(&runtime->loops[1]);
    weft_atomic_store_relaxed(&flags[0], 1);
}

static const struct model models[] = {
    {.name = "start_stop",
     .about = "a start returns when every loop's thread has entered, and a stop when all have left",
     .setup = setup,
     .threads = {start_and_stop, thread_0, thread_1},
     .check = end,
     .bound = 2},
    {.name = "nudge",
     .about = "what was written before a nudge is seen in the turn after it, be it one that found another queued",
     .setup = setup,
     .threads = {turn_until_both, nudge_0, nudge_1},
     .check = end},
    {.name = "conduct",
     .about = "one thread at a time conducts, and sees what the last one left",
     .setup = setup_no_driver,
     .threads = {start_alone, stop_alone, start_alone},
     .check = check_alone},
    {.name = "conduct_told",
     .about = "whoever is told that a start has returned may stop",
     .setup = setup_no_driver,
     .threads = {start_and_tell, stop_when_told},
     .check = check_alone},
    {.name = "one_step",
     .about = "a step that waits for every loop is woken by the last one, though a nudge was queued before",
     .setup = setup,
     .threads = {refuse_and_accept_no_more, thread_0},
     .check = end,
     .bound = 3},
    {.name = "hooks_at_last",
     .about = "a step that gave up at its deadline has its hooks run with the next one's, on every loop",
     .setup = setup_hooks,
     .threads = {shut_down_at_last, thread_0},
     .check = check_hooks,
     .bound = 2},
    {.name = "hooks",
     .about = "each hook runs once on each loop, in order, and the step that waits for it sees what it did",
     .setup = setup_hooks,
     .threads = {shut_down, thread_0},
     .check = check_hooks,
     .bound = 2},
    {.name = "hooks_late",
     .about = "a step that gives up at its deadline leaves hooks to the next one, which runs none twice",
     .setup = setup_hooks,
     .threads = {shut_down_in_time, thread_0},
     .check = check_hooks,
     .bound = 2},
};

static const struct model_equivalent equivalent[] = {
    {"runtime.c:conduct_no_more:store_release>late", "whoever is told that the last conductor has finished is told by a later operation"},
    {"shutdown.c:hooks_posted:store_release>late", "the loop wakes the conductor once more as its turn ends, which is after the store"},
    {NULL, NULL},
};

static const struct model broken[] = {
    {.name = "nudge_swapped",
     .about = "one who nudges before he has said what for",
     .setup = setup,
     .threads = {turn_until_both, nudge_swapped, nudge_1},
     .may_leak = true},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/runtime/runtime", "lib/runtime/threads.c", "lib/runtime/shutdown.c"},
                                             .equivalent = equivalent};
    return model_main(&suite, argc, argv);
}
