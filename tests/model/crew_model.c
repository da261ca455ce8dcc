/*
 * Models of a crew: if stealable work is queued somebody runs it, whoever falls asleep or wakes up meanwhile, and nobody is woken twice
 * for it.
 *
 * lib/sched is real, and so are its queues. A loop is what lib/loop/turn.c makes of a worker, without a poller: it searches, parks, sleeps
 * on a token, and runs what it has found. A worker without a thread is one that computes, and never looks.
 */
#include "tests/model/crew_scene.h"

static void sleeper_0(void)
{
    live(0, 1, false);
}
static void sleeper_1(void)
{
    live(1, 1, false);
}
static void sleeper_0_twice(void)
{
    live(0, 2, false);
}
static void riser_0(void)
{
    live(0, 1, true);
}

/* ---- pushed from outside -------------------------------------------------------------------------------------------------------------- */

static void setup_push_park(void)
{
    make_crew(2, 1, NULL);
}

static void push_0(void)
{
    MODEL_CHECK(crew_push(crew, task_make(0)));
}
static void push_1(void)
{
    MODEL_CHECK(crew_push(crew, task_make(1)));
}

static void setup_two_tasks(void)
{
    make_crew(2, 2, NULL);
}

/* ---- pushed on a ring ------------------------------------------------------------------------------------------------------------------- */

static void setup_ring(void)
{
    make_crew(2, 2, NULL);
    kept_max = 1;
}

/* It has one to run next, and one more, but goes on computing. */
static void computer_1(void)
{
    worker_set_current(&workers[1]);
    work_ready_stealable(&workers[1], task_make(0));
    work_ready_stealable(&workers[1], task_make(1));
}

/* ---- searching -------------------------------------------------------------------------------------------------------------------------- */

/* As spin() in lib/loop/turn.c: it searches without a sign of work, and goes to sleep searching. */
static void searcher_0(void)
{
    struct worker *worker = &workers[0];
    worker_set_current(worker);
    if (crew_search_begin(worker) && crew_steal(worker))
        crew_search_end(worker);
    else
        doze(worker, false);
    run_found(worker);
    is_awake[0] = true;
}

/* It begins to compute what it finds: who comes for the rest is another's. */
static void finder_0(void)
{
    struct worker *worker = &workers[0];
    worker_set_current(worker);
    if (!crew_search_begin(worker))
        return;
    if (crew_steal(worker)) {
        crew_search_end(worker);
        struct weft_work *work = worker->taken;
        worker->taken = NULL;
        if (work != NULL)
            (void)work->run(work);
        else if ((work = ring_pop(&worker->ring)) != NULL)
            (void)work->run(work);
        return;
    }
    crew_search_end(worker);
    is_awake[0] = true;
}

/* ---- asleep from the beginning --------------------------------------------------------------------------------------------------------- */

/* One of two works is there already. */
static void setup_parked(void)
{
    make_crew(2, 2, NULL);
    worker_set_current(&workers[1]);
    (void)inbox_park(&workers[1].inbox);
    MODEL_CHECK(crew_park(&workers[1]));
    worker_set_current(NULL);
    (void)injector_push(&crew->injector, task_make(0), &tasks[0].work);
}

static void parked_1(void)
{
    worker_set_current(&workers[1]);
    doze_on(&workers[1], false);
    run_found(&workers[1]);
    is_awake[1] = true;
}

/* ---- swapped -------------------------------------------------------------------------------------------------------------------------------- */

/* Looks first, and says then that it is parked. */
static void sleeper_swapped(void)
{
    (void)inbox_park(&workers[0].inbox);
    if (!injector_is_empty(&crew->injector))
        return;
    weft_atomic_store_relaxed(&workers[0].idle_state, 1);
    (void)weft_atomic_add_seq_cst(&crew->idle, UINT64_C(1) << 32);
    model_wait(&tokens[0]);
}

/* Looks who is parked, and pushes then. */
static void pusher_swapped(void)
{
    crew_notify(crew);
    (void)injector_push(&crew->injector, task_make(0), &tasks[0].work);
}

/* Ends its search without a last look. */
static void searcher_swapped(void)
{
    worker_set_current(&workers[0]);
    if (crew_search_begin(&workers[0]) && crew_steal(&workers[0]))
        return run_found(&workers[0]);
    workers[0].is_searching = false;
    (void)inbox_park(&workers[0].inbox);
    weft_atomic_store_relaxed(&workers[0].idle_state, 1);
    (void)weft_atomic_add_seq_cst(&crew->idle, (UINT64_C(1) << 32) - 1);
    model_wait(&tokens[0]);
}

/* ---- the models ------------------------------------------------------------------------------------------------------------------------- */

static const struct model models[] = {
    {
        .name = "push_park",
        .about = "A work that is pushed from outside as a worker falls asleep is seen by it, or wakes it.",
        .setup = setup_push_park,
        .threads = {push_0, sleeper_0},
        .check = check,
        .may_sleep = true,
    },
    {
        .name = "ring_park",
        .about = "A worker that computes has more than one work in its ring: another one comes for it.",
        .setup = setup_ring,
        .threads = {computer_1, sleeper_0},
        .check = check,
        .may_sleep = true,
    },
    {
        .name = "push_search",
        .about = "A pusher that sees a searcher leaves its work to it, though it has looked already and goes to sleep.",
        .setup = setup_push_park,
        .threads = {push_0, searcher_0},
        .check = check,
        .may_sleep = true,
    },
    {
        .name = "push_find",
        .about = "Who finds one of two works, and computes, has the other one fetched.",
        .setup = setup_parked,
        .threads = {push_1, finder_0, parked_1},
        .check = check,
        .may_sleep = true,
    },
    {
        .name = "push_rise",
        .about = "A worker that wakes by itself as it is summoned searches, and is counted right.",
        .setup = setup_push_park,
        .threads = {push_0, riser_0, sleeper_1},
        .bound = 2,
        .check = check,
        .may_sleep = true,
    },
    {
        .name = "push_rise_alone",
        .about = "Who is summoned as it wakes by itself finds what it is summoned for.",
        .setup = setup_push_park,
        .threads = {push_0, riser_0},
        .check = check,
        .may_sleep = true,
    },
    {
        .name = "two_pushers",
        .about = "Two push from outside, two fall asleep: all is run, with two wake-ups at most.",
        .setup = setup_two_tasks,
        .threads = {push_0, push_1, sleeper_0_twice, sleeper_1},
        .check = check,
        .bound = 2,
        .random_runs = 300,
        .may_sleep = true,
    },
};

#define MUST_FAIL(name_, about_, pusher_, sleeper_)                                                                                        \
    {                                                                                                                                      \
        .name = name_, .about = about_, .setup = setup_push_park, .threads = {pusher_, sleeper_}, .may_leak = true,                        \
    }

static const struct model broken[] = {
    MUST_FAIL("park_swapped", "A worker that looks at the queues before it says that it is parked.", push_0, sleeper_swapped),
    MUST_FAIL("push_swapped", "A pusher that looks who is parked before it pushes.", pusher_swapped, sleeper_0),
    MUST_FAIL("search_swapped", "A searcher that looks no more after it has counted itself out.", push_0, searcher_swapped),
};

int main(int argc, char **argv)
{
    static const struct model_equivalent equivalent[] = {
        {"crew.c:crew_notify:cas_acquire>relaxed", "it saves a round: who has parked where another one did is counted but not seen to be "
                                                   "parked, so the claim is given back and tried "
                                                   "again"},
        {"crew.c:crew_unpark:exchange_acq_rel>acquire",
         "it keeps the subtraction in front, so that nobody goes round for one that is counted and out of reach; the checker never turns "
         "two read-modify-writes around"},
        {NULL, NULL},
    };
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .owns = {"crew.c:summon", "crew.c:crew_notify", "crew.c:crew_search_begin", "crew.c:crew_search_end", "crew.c:crew_park",
                 "crew.c:crew_unpark"},
        .equivalent = equivalent,
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
    };
    return model_main(&suite, argc, argv);
}
