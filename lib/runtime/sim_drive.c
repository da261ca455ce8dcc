/*
 * Drive: rounds and time of a simulated world.
 *
 * In each round every loop of every runtime that is started takes one turn, in an order drawn from the seed, but for those that are late
 * and those that would find nothing.
 * Time stands still as long as any loop finds something to do; then it jumps to the first thing that is due. If nothing ever will be, that
 * is a deadlock, and said so. What the scenario does to the world happens between rounds.
 */
#include "lib/runtime/sim_drive.h"

#include <errno.h>

#include "lib/base/clock.h"
#include "lib/poll/sim.h"
#include "lib/runtime/runtime.h"
#include "lib/sched/crew.h"
#include "weft/memory.h"
#include "weft/sim.h"
#include "weft/status.h"

/* Work that queues itself again for ever would stop time for all others: after so many rounds time goes on nevertheless. */
enum { BUSY_ROUNDS_MAX = 1000 };

/* ---- life --------------------------------------------------------------------------------------------------------------------- */

static sim_meanwhile_fn meanwhile;

struct sim_drive *sim_drive_get(struct weft_sim *world)
{
    void **slot = sim_world_driver(world);
    struct sim_drive *drive = *slot;
    if (drive == NULL) {
        drive = weft_calloc(1, sizeof(*drive));
        if (drive == NULL)
            return NULL;
        drive->world = world;
        *slot = drive;
        sim_world_set_meanwhile(world, meanwhile);
    }
    drive->refs++;
    return drive;
}

void sim_drive_put(struct sim_drive *drive)
{
    if (drive == NULL || --drive->refs > 0)
        return;
    *sim_world_driver(drive->world) = NULL;
    sim_world_set_meanwhile(drive->world, NULL);
    weft_free(drive->order);
    weft_free(drive);
}

int sim_drive_join(struct sim_drive *drive, struct weft_runtime *runtime)
{
    uint32_t count = drive->loop_count + runtime->loop_count;
    if (count > drive->loops_max) {
        struct runtime_loop **order = weft_realloc(drive->order, (size_t)count * 2 * sizeof(struct runtime_loop *));
        if (order == NULL)
            return -ENOMEM;
        drive->order = order;
        drive->loops_max = count * 2;
    }
    for (uint32_t i = 0; i < runtime->loop_count; i++)
        drive->order[drive->loop_count++] = &runtime->loops[i];
    return 0;
}

void sim_drive_leave(struct sim_drive *drive, struct weft_runtime *runtime)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < drive->loop_count; i++)
        if (drive->order[i]->runtime != runtime)
            drive->order[kept++] = drive->order[i];
    drive->loop_count = kept;
}

/* ---- turns -------------------------------------------------------------------------------------------------------------------- */

static void shuffle(struct sim_drive *drive)
{
    struct random *random = sim_world_schedule(drive->world);
    for (uint32_t i = drive->loop_count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(random, i);
        struct runtime_loop *swapped = drive->order[i - 1];
        drive->order[i - 1] = drive->order[other];
        drive->order[other] = swapped;
    }
}

/* Could this loop take a turn at all? One that left by itself has taken its whole runtime along. */
static bool is_awake(const struct sim_drive *drive, const struct runtime_loop *each)
{
    const struct weft_runtime *runtime = each->runtime;
    return each->is_entered && !loop_is_forked(each->loop) && sim_host_is_up(runtime->host, runtime->boot_count) &&
           sim_host_paused_until(runtime->host) <= sim_world_now(drive->world) &&
           (runtime_is_shutting(runtime) || weft_atomic_load_relaxed(&runtime->left_status) == 0);
}

/* Would a turn find anything? One that would not is as good as taken. */
static bool has_something(struct runtime_loop *each)
{
    struct weft_loop *loop = each->loop;
    return loop_has_work(loop) || loop->is_stopping || !sim_poller_is_quiet(loop->poller) || crew_might_give(&loop->worker);
}

/* Let `each` take a turn, in a thread that has many: as its host's, whose faults are those of its memory too. */
static int turn(struct sim_drive *drive, struct runtime_loop *each)
{
    struct weft_runtime *runtime = each->runtime;
    struct weft_loop *loop = each->loop;
    struct weft_sim_host *before = runtime->owns_world ? NULL : weft_sim_host_enter(runtime->host);
    loop->worker.stealable_max = sim_world_draw_stealable(drive->world);
    worker_set_current(&loop->worker);
    sim_memory_begin(sim_world_memory(drive->world), sim_host_memory_permille(runtime->host));
    drive->is_turning = true;
    int status = loop_turn(loop, false);
    drive->is_turning = false;
    sim_memory_end();
    worker_set_current(NULL);
    if (!runtime->owns_world)
        (void)weft_sim_host_enter(before);
    if (!runtime_is_shutting(runtime) || status == WEFT_EFORKED)
        return status < 0 ? status : loop->is_stopping ? WEFT_ESTOPPED : 0;
    loop->is_stopping = false;
    return 0;
}

struct round {
    uint64_t works; /* that were run */
    uint32_t late;  /* loops that were passed over */
    bool is_forked; /* something that ran has forked, and this is the child */
};

static void turn_or_not(struct sim_drive *drive, struct runtime_loop *each, struct round *round)
{
    struct weft_loop *loop = each->loop;
    if (sim_world_is_late(drive->world)) {
        round->late++;
        return;
    }
    uint64_t before = loop->worker.run_count;
    int status = turn(drive, each);
    uint64_t works = loop->worker.run_count - before;
    round->works += works;
    round->is_forked = round->is_forked || status == WEFT_EFORKED;
    sim_world_turned(drive->world, each->runtime->host, loop->index, works);
    if (status != 0)
        runtime_left(each->runtime, status);
}

static struct round run_round(struct sim_drive *drive)
{
    struct round round = {.works = 0};
    shuffle(drive);
    sim_world_round(drive->world);
    for (uint32_t i = 0; i < drive->loop_count; i++)
        if (is_awake(drive, drive->order[i]) && has_something(drive->order[i]))
            turn_or_not(drive, drive->order[i], &round);
    return round;
}

static bool has_work(const struct sim_drive *drive)
{
    for (uint32_t i = 0; i < drive->loop_count; i++)
        if (is_awake(drive, drive->order[i]) && loop_has_work(drive->order[i]->loop))
            return true;
    return false;
}

/* ---- time --------------------------------------------------------------------------------------------------------------------- */

static uint64_t earlier_ns(uint64_t one_ns, uint64_t other_ns)
{
    return one_ns < other_ns ? one_ns : other_ns;
}

/* When `each` has something to do by itself: the end of its pause, or a timer. */
static uint64_t next_of_loop_ns(const struct sim_drive *drive, const struct runtime_loop *each)
{
    const struct weft_runtime *runtime = each->runtime;
    uint64_t paused_until_ns = sim_host_paused_until(runtime->host);
    if (paused_until_ns > sim_world_now(drive->world))
        return sim_host_is_up(runtime->host, runtime->boot_count) ? paused_until_ns : CLOCK_NEVER_NS;
    return is_awake(drive, each) ? loop_next_timer_ns(each->loop) : CLOCK_NEVER_NS;
}

static uint64_t next_ns(const struct sim_drive *drive)
{
    uint64_t next_ns = earlier_ns(sim_world_next(drive->world), sim_world_next_call(drive->world));
    for (uint32_t i = 0; i < drive->loop_count; i++)
        next_ns = earlier_ns(next_ns, next_of_loop_ns(drive, drive->order[i]));
    return next_ns;
}

static int pass_time(struct sim_drive *drive, uint64_t deadline_ns)
{
    uint64_t until_ns = earlier_ns(next_ns(drive), deadline_ns);
    if (until_ns == CLOCK_NEVER_NS)
        return -EDEADLK;
    sim_world_advance(drive->world, until_ns);
    return 0;
}

/* A round. 1 if time may pass before the next; 0; WEFT_EFORKED. */
static int play_round(struct sim_drive *drive)
{
    struct round round = run_round(drive);
    if (round.is_forked)
        return WEFT_EFORKED;
    drive->busy_rounds = round.works > 0 || has_work(drive) ? drive->busy_rounds + 1 : 0;
    return round.late == 0 && (drive->busy_rounds == 0 || drive->busy_rounds >= BUSY_ROUNDS_MAX);
}

/* Do what the scenario does, or a round, and if nobody found anything let time pass until somebody will. 0; -EDEADLK; WEFT_EFORKED. */
static int go_on(struct sim_drive *drive, uint64_t deadline_ns)
{
    if (sim_world_call(drive->world))
        return 0;
    int status = play_round(drive);
    if (status <= 0)
        return status;
    bool is_busy = drive->busy_rounds > 0;
    drive->busy_rounds = 0;
    int passed = pass_time(drive, deadline_ns);
    return is_busy ? 0 : passed;
}

int sim_drive_run(struct sim_drive *drive, sim_drive_condition_fn *condition, void *arg, uint64_t deadline_ns)
{
    int status;
    drive->busy_rounds = 0;
    while ((status = condition(arg)) == 0) {
        if (sim_world_now(drive->world) >= deadline_ns)
            return -ETIMEDOUT;
        status = go_on(drive, deadline_ns);
        if (status < 0)
            return status;
    }
    return status < 0 ? status : 0;
}

int sim_drive_run_beside(struct sim_drive *drive, sim_drive_condition_fn *condition, void *arg, uint64_t deadline_ns)
{
    struct worker *here = worker_current();
    worker_set_current(NULL);
    int status = sim_drive_run(drive, condition, arg, deadline_ns);
    worker_set_current(here);
    return status;
}

/* ---- a loop that is run by hand --------------------------------------------------------------------------------------------------- */

/* A loop that always has something to do stops time for the others no longer than they would. */
static void count_look(struct sim_drive *drive, struct weft_loop *loop)
{
    if (++drive->looks < BUSY_ROUNDS_MAX)
        return;
    drive->looks = 0;
    (void)pass_time(drive, loop_next_timer_ns(loop));
}

static int go_on_beside(struct sim_drive *drive, struct weft_loop *loop, uint64_t until_ns)
{
    int status;
    if (sim_world_now(drive->world) >= until_ns)
        count_look(drive, loop);
    else
        drive->looks = 0;
    do
        status = go_on(drive, until_ns);
    while (status == 0 && sim_world_now(drive->world) < until_ns && sim_poller_is_quiet(loop->poller));
    return status;
}

/* Not the drive, nor a runtime that runs at its end what is left. */
static bool is_by_hand(const struct sim_drive *drive, const struct weft_loop *loop)
{
    const struct weft_runtime *runtime = weft_runtime_of(loop);
    return !drive->is_turning && (runtime == NULL || runtime->step < RUNTIME_STEP_JOIN);
}

/* Its wait is a round of the others at least: that it looks only must not keep them from their turns. */
static bool meanwhile(void *driver, uint64_t until_ns)
{
    struct sim_drive *drive = driver;
    struct worker *here = worker_current();
    if (here == NULL || !is_by_hand(drive, loop_of_worker(here)))
        return true;
    worker_set_current(NULL);
    drive->refs++; /* what happens may end the last runtime */
    int status = go_on_beside(drive, loop_of_worker(here), until_ns);
    sim_drive_put(drive);
    worker_set_current(here);
    return status != -EDEADLK;
}

/* ---- the user's --------------------------------------------------------------------------------------------------------------- */

struct asking {
    weft_sim_condition_fn *condition;
    void *arg;
};

static int is_true(void *arg)
{
    const struct asking *asking = arg;
    return asking->condition != NULL && asking->condition(asking->arg);
}

int weft_sim_run(struct weft_sim *sim, weft_sim_condition_fn *condition, void *arg, int64_t limit_ns)
{
    if (sim == NULL)
        return -EINVAL;
    if (weft_get_running_loop() != NULL)
        return WEFT_EOTHERLOOP;
    struct sim_drive *drive = sim_drive_get(sim); /* there may be no runtime yet, or none any more */
    if (drive == NULL)
        return -ENOMEM;
    uint64_t deadline_ns = limit_ns < 0 ? CLOCK_NEVER_NS : clock_add_ns(sim_world_now(sim), (uint64_t)limit_ns);
    int status = sim_drive_run(drive, is_true, &(struct asking){condition, arg}, deadline_ns);
    sim_drive_put(drive);
    return status;
}
