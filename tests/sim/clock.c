/*
 * Clock: timers and sleeps on two hosts whose machines sleep, stop, and are set to other times of day.
 *
 * Whatever happens to the clocks, nothing fires before it is due, nothing that is due earlier on a loop is left behind by what is due later,
 * nothing that was stopped fires, and everything else does, once.
 */
#include <errno.h>
#include <string.h>

#include "tests/sim/scenario.h"
#include "weft/fiber.h"
#include "weft/loop.h"
#include "weft/runtime.h"
#include "weft/timer.h"

enum { HOSTS = 2, LOOPS = 2, TIMERS = 24, ROUNDS = 12, SLEEPERS = 4 };

struct alarm {
    struct weft_timer timer;
    struct clocked *clocked;
    uint64_t due_ns; /* 0: stopped */
    uint64_t order;  /* of its arming, on its loop */
};

/* What one loop keeps. */
struct clocked {
    struct world *world;
    struct weft_loop *loop;
    struct alarm alarms[TIMERS];
    uint64_t armed; /* so far */
    uint64_t fired;
    uint64_t stopped;
};

struct world {
    struct trial *trial;
    struct weft_sim *sim;
    struct weft_sim_host *hosts[HOSTS];
    struct weft_runtime *runtimes[HOSTS];
    struct clocked clocked[HOSTS][LOOPS];
    int sleeping;
    bool is_over; /* nothing is armed any more */
};

/* ---- timers --------------------------------------------------------------------------------------------------------------------- */

static int64_t random_delay(struct trial *trial)
{
    switch (trial_random(trial, 4)) {
    case 0:
        return (int64_t)trial_random(trial, 3) - 1; /* the past, now, the next nanosecond */
    case 1:
        return (int64_t)trial_random(trial, 50) * US_NS;
    case 2:
        return (int64_t)trial_random(trial, 500) * MS_NS;
    default:
        return (int64_t)trial_random(trial, 100) * SECOND_NS;
    }
}

static void arm(struct alarm *alarm)
{
    struct clocked *clocked = alarm->clocked;
    struct trial *trial = clocked->world->trial;
    int64_t delay_ns = random_delay(trial);
    uint64_t now_ns = weft_loop_time(clocked->loop);
    if (alarm->due_ns != 0)
        clocked->stopped++; /* moved */
    EXPECT_EQ(trial, weft_timer_start(&alarm->timer, delay_ns), 0);
    alarm->due_ns = now_ns + (uint64_t)(delay_ns > 0 ? delay_ns : 0);
    alarm->order = clocked->armed++;
}

/* Another one on the same loop that should have come before. */
static const struct alarm *left_behind(const struct clocked *clocked, const struct alarm *fired)
{
    for (int i = 0; i < TIMERS; i++) {
        const struct alarm *other = &clocked->alarms[i];
        if (other == fired || other->due_ns == 0 || other->order > fired->order)
            continue;
        if (other->due_ns < fired->due_ns || (other->due_ns == fired->due_ns && other->order < fired->order))
            return other;
    }
    return NULL;
}

static void play_with_others(struct clocked *clocked)
{
    struct trial *trial = clocked->world->trial;
    struct alarm *other = &clocked->alarms[trial_random(trial, TIMERS)];
    bool is_armed = other->due_ns != 0;
    if (trial_chance(trial, 300)) {
        EXPECT_EQ(trial, weft_timer_stop(&other->timer), is_armed);
        clocked->stopped += is_armed;
        other->due_ns = 0;
    } else if (clocked->armed < TIMERS * ROUNDS) {
        arm(other);
    }
}

static int ring(void *arg)
{
    struct alarm *alarm = arg;
    struct clocked *clocked = alarm->clocked;
    struct trial *trial = clocked->world->trial;
    EXPECT(trial, alarm->due_ns != 0);
    EXPECT(trial, weft_loop_time(clocked->loop) >= alarm->due_ns);
    EXPECT(trial, left_behind(clocked, alarm) == NULL);
    alarm->due_ns = 0;
    clocked->fired++;
    for (int i = 0; i < 2; i++)
        play_with_others(clocked);
    return 0;
}

/* ---- sleeps --------------------------------------------------------------------------------------------------------------------- */

static int sleep_now_and_then(void *arg, void **result_out)
{
    struct world *world = arg;
    (void)result_out;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t delay_ns = random_delay(world->trial);
        uint64_t start_ns = weft_loop_time(weft_get_running_loop());
        EXPECT_EQ(world->trial, weft_sleep(delay_ns), 0);
        EXPECT(world->trial, (int64_t)(weft_loop_time(weft_get_running_loop()) - start_ns) >= delay_ns);
    }
    world->sleeping--;
    return 0;
}

/* ---- trouble -------------------------------------------------------------------------------------------------------------------- */

static void trouble(void *arg)
{
    struct world *world = arg;
    struct weft_sim_host *host = world->hosts[trial_random(world->trial, HOSTS)];
    uint64_t now_ns = weft_sim_now(world->sim);
    if (world->is_over)
        return;
    switch (trial_random(world->trial, 3)) {
    case 0:
        EXPECT_EQ(world->trial, weft_sim_leap(world->sim, trial_random(world->trial, (uint64_t)(3 * SECOND_NS))), 0);
        EXPECT(world->trial, weft_sim_now(world->sim) >= now_ns);
        break;
    case 1:
        EXPECT_EQ(world->trial, weft_sim_host_pause(host, trial_random(world->trial, (uint64_t)SECOND_NS)), 0);
        break;
    default:
        EXPECT_EQ(world->trial, weft_sim_host_jump(host, ((int64_t)trial_random(world->trial, 21) - 10) * DAY_NS), 0);
    }
    EXPECT_EQ(world->trial, weft_sim_call_later(world->sim, trial_random(world->trial, (uint64_t)(5 * SECOND_NS)), trouble, world), 0);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

static bool is_quiet(const struct clocked *clocked)
{
    for (int i = 0; i < TIMERS; i++)
        if (clocked->alarms[i].due_ns != 0)
            return false;
    return true;
}

static bool all_quiet(void *arg)
{
    struct world *world = arg;
    world->is_over = world->sleeping == 0;
    for (int host = 0; host < HOSTS; host++)
        for (int loop = 0; loop < LOOPS; loop++)
            world->is_over = world->is_over && is_quiet(&world->clocked[host][loop]);
    return world->is_over;
}

static int prepare(void *arg)
{
    struct clocked *clocked = arg;
    for (int i = 0; i < TIMERS; i++) {
        struct alarm *alarm = &clocked->alarms[i];
        alarm->clocked = clocked;
        weft_timer_init(&alarm->timer, clocked->loop, ring, alarm);
        arm(alarm);
    }
    return 0;
}

static void boot(struct world *world, int host)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = LOOPS;
    world->hosts[host] = trial_host(world->trial, world->sim, NULL);
    struct weft_sim_host *before = weft_sim_host_enter(world->hosts[host]);
    EXPECT_EQ(world->trial, weft_runtime_create(&options, &world->runtimes[host]), 0);
    (void)weft_sim_host_enter(before);
    for (uint32_t i = 0; i < LOOPS; i++) {
        struct clocked *clocked = &world->clocked[host][i];
        clocked->world = world;
        clocked->loop = weft_runtime_loop(world->runtimes[host], i);
        (void)prepare(clocked);
    }
    for (uint32_t i = 0; i < SLEEPERS; i++, world->sleeping++)
        EXPECT_EQ(world->trial,
                  weft_loop_create_fiber(weft_runtime_loop(world->runtimes[host], i % LOOPS), sleep_now_and_then, world, NULL), 0);
    EXPECT_EQ(world->trial, weft_runtime_start(world->runtimes[host]), 0);
}

static void play(struct trial *trial)
{
    static struct world world;
    struct weft_sim_options options = trial_options(trial);
    memset(&world, 0, sizeof(world));
    world.trial = trial;
    options.late_permille = (uint32_t)trial_random(trial, 500);
    EXPECT_EQ(trial, weft_sim_create(&options, &world.sim), 0);
    for (int i = 0; i < HOSTS; i++)
        boot(&world, i);
    EXPECT_EQ(trial, weft_sim_call_later(world.sim, 1, trouble, &world), 0);
    EXPECT_EQ(trial, weft_sim_run(world.sim, all_quiet, &world, DAY_NS), 0);
    for (int host = 0; host < HOSTS; host++)
        for (int loop = 0; loop < LOOPS; loop++)
            EXPECT_EQ(trial, world.clocked[host][loop].fired + world.clocked[host][loop].stopped, world.clocked[host][loop].armed);
    for (int i = 0; i < HOSTS; i++) {
        EXPECT_EQ(trial, weft_runtime_shutdown(world.runtimes[i], -1), 0);
        weft_runtime_destroy(world.runtimes[i]);
    }
    trial_end(trial, world.sim);
    weft_sim_destroy(world.sim);
}

const struct scenario scenario_clock = {
    .name = "clock",
    .about = "timers and sleeps while machines sleep, stop, and are set to other times of day",
    .seeds = 3600,
    .play = play,
    .pinned = {UINT64_C(0x97177184bbfec08f), UINT64_C(0x35534e86fa7fd0a0)},
};
