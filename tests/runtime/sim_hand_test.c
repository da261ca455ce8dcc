/*
 * A loop of a simulated world that its user runs by hand: the world goes on meanwhile.
 */
#include "tests/runtime/town.h"

#include "weft/loop.h"
#include "weft/poller.h"
#include "weft/timer.h"

enum { HANDS_MS = 10 };

static struct weft_loop *loop_on(struct weft_sim_host *host)
{
    struct weft_loop *loop;
    (void)weft_sim_host_enter(host);
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
    (void)weft_sim_host_enter(NULL);
    return loop;
}

static void loop_end(struct weft_loop *loop)
{
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

static void delay_all(struct town *town)
{
    struct weft_sim_link link = WEFT_SIM_LINK;
    link.latency_min_ns = HANDS_MS * UINT64_C(1000000);
    CHECK_EQ(weft_sim_set_link(town->sim, NULL, NULL, &link), 0);
}

Test(sim_hand, is_served_by_its_neighbour, .timeout = 10)
{
    struct town town;
    struct visit visit = {.server = "host0", .rounds = 3};
    town_open(&town, 2, NULL);
    delay_all(&town);
    town_serve(&town, 0);
    struct weft_loop *loop = loop_on(town.hosts[1]);
    struct weft_task *task = fixture_spawn(loop, town_visitor, &visit);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    CHECK_EQ(visit.echoed, 3);
    CHECK(visit.took_ns >= (1 + 2 * 3) * HANDS_MS * UINT64_C(1000000));
    weft_task_unref(task);
    loop_end(loop);
    town_close(&town);
}

/* ---- turns and time of the others ------------------------------------------------------------------------------------------------- */

struct chain {
    struct weft_loop *loop;
    uint32_t is_over;
};

/* Always has something to do. */
static int go_on(void *arg)
{
    struct chain *chain = arg;
    return chain->is_over ? weft_loop_stop(chain->loop) : weft_loop_call_soon(chain->loop, go_on, chain, NULL, NULL);
}

static int sleep_and_end(void *arg, void **result_out)
{
    struct chain *chain = arg;
    (void)result_out;
    CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_sleep(SECOND_NS), 0);
    chain->is_over = 1;
    return 0;
}

Test(sim_hand, does_not_keep_the_others_from_their_turns_nor_time_from_passing, .timeout = 10)
{
    struct town town;
    town_open(&town, 1, NULL);
    struct chain chain = {.loop = loop_on(town.hosts[0])};
    uint64_t start_ns = weft_sim_now(town.sim);
    CHECK_EQ(weft_runtime_start(town.runtimes[0]), 0);
    fixture_spawn_and_forget(weft_runtime_loop(town.runtimes[0], 0), sleep_and_end, &chain);
    CHECK_EQ(weft_loop_call_soon(chain.loop, go_on, &chain, NULL, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(chain.loop), 0);
    CHECK_EQ(weft_sim_now(town.sim), start_ns + SECOND_NS);
    loop_end(chain.loop);
    town_close(&town);
}

static int end_by_timer(void *loop)
{
    return weft_loop_stop(loop);
}

Test(sim_hand, wakes_for_its_own_timers_at_their_time, .timeout = 10)
{
    struct town town;
    struct chain chain = {.is_over = 0};
    town_open(&town, 1, NULL);
    struct weft_loop *loop = loop_on(town.hosts[0]);
    uint64_t start_ns = weft_sim_now(town.sim);
    CHECK_EQ(weft_runtime_start(town.runtimes[0]), 0);
    fixture_spawn_and_forget(weft_runtime_loop(town.runtimes[0], 0), sleep_and_end, &chain);
    CHECK_EQ(weft_loop_call_later(loop, SECOND_NS / 2, end_by_timer, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_EQ(weft_sim_now(town.sim), start_ns + SECOND_NS / 2);
    CHECK_EQ(chain.is_over, 0);
    CHECK_EQ(weft_loop_call_later(loop, SECOND_NS, end_by_timer, loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(loop), 0);
    CHECK_EQ(weft_sim_now(town.sim), start_ns + SECOND_NS / 2 * 3);
    CHECK_EQ(chain.is_over, 1);
    loop_end(loop);
    town_close(&town);
}

/* ---- what the scenario does meanwhile --------------------------------------------------------------------------------------------- */

struct scene {
    struct town *town;
    struct weft_loop *loop;
};

static void end_runtime(void *arg)
{
    struct scene *scene = arg;
    CHECK(weft_get_running_loop() == NULL);
    CHECK_EQ(weft_runtime_shutdown(scene->town->runtimes[0], FOR_EVER), 0);
    weft_runtime_destroy(scene->town->runtimes[0]);
    scene->town->runtimes[0] = NULL;
}

Test(sim_hand, goes_on_alone_when_the_last_runtime_has_gone, .timeout = 10)
{
    struct town town;
    town_open(&town, 1, NULL);
    struct scene scene = {&town, loop_on(town.hosts[0])};
    uint64_t start_ns = weft_sim_now(town.sim);
    CHECK_EQ(weft_runtime_start(town.runtimes[0]), 0);
    CHECK_EQ(weft_sim_call_later(town.sim, (uint64_t)SECOND_NS, end_runtime, &scene), 0);
    CHECK_EQ(weft_loop_call_later(scene.loop, 2 * SECOND_NS, end_by_timer, scene.loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(scene.loop), 0);
    CHECK(town.runtimes[0] == NULL);
    CHECK_EQ(weft_sim_now(town.sim), start_ns + 2 * SECOND_NS);
    loop_end(scene.loop);
    town_close(&town);
}
