/*
 * Models of a crew: if stealable work is queued somebody runs it, whoever falls asleep or wakes up meanwhile, and nobody is woken twice
 * for it.
 *
 * lib/sched is real, and so are its queues. A loop is what lib/loop/turn.c makes of a worker, without a poller: it searches, parks, sleeps
 * on a token, and runs what it has found. A worker without a thread is one that computes, and never looks.
 */
#include "lib/sched/crew.h"

#include "lib/sched/worker.h"
#include "tests/model/checker.h"

enum { WORKERS_MAX = 3, TASKS_MAX = 4 };

struct task {
    struct weft_work work;
    unsigned value; /* plain: who runs it must see what its pusher wrote */
    unsigned run_count;
};

static struct crew *crew;
static struct worker workers[WORKERS_MAX];
static struct model_token tokens[WORKERS_MAX];
static struct task tasks[TASKS_MAX];
static unsigned task_count;        /* pushed in all, for check */
static bool is_awake[WORKERS_MAX]; /* has ended its thread awake, and would look again */
static uint64_t kept_max;          /* what a worker that computes may keep in its ring */

static void wake(struct worker *worker)
{
    model_signal(&tokens[worker - workers]);
}

static const struct parker_ops parker = {.wake = wake};

static int run(struct weft_work *work)
{
    struct task *task = weft_container_of(work, struct task, work);
    MODEL_CHECK(task->value == 7);
    task->run_count++;
    return 0;
}

static void make_crew(unsigned worker_count, unsigned tasks_pushed)
{
    crew = crew_create(WORKERS_MAX, NULL);
    for (unsigned i = 0; i < worker_count; i++) {
        worker_init(&workers[i], &parker);
        crew_join(crew, &workers[i], i);
    }
    task_count = tasks_pushed;
}

static struct weft_work *task_make(unsigned index)
{
    tasks[index].work.run = run;
    tasks[index].value = 7;
    return &tasks[index].work;
}

/* ---- a loop ------------------------------------------------------------------------------------------------------------------------- */

/* After the sleep: see wake_up() in lib/loop/turn.c. */
static void rise(struct worker *worker)
{
    bool is_summoned = crew_unpark(worker);
    worker_unpark(worker);
    if (!is_summoned || worker_search(worker))
        return;
    worker_count(&worker->vain_count, 1);
    crew_search_end(worker);
}

/* See sleep_until_something() there. `may_wake`: something else may wake it, at any time. */
static void doze(struct worker *worker, bool may_wake)
{
    if (!inbox_park(&worker->inbox)) {
        crew_search_end(worker);
        return;
    }
    if (!crew_park(worker)) {
        worker_unpark(worker);
        (void)worker_search(worker);
        crew_search_end(worker);
        return;
    }
    if (may_wake)
        (void)model_wait_timeout(&tokens[worker - workers]);
    else
        model_wait(&tokens[worker - workers]);
    rise(worker);
}

static void run_found(struct worker *worker)
{
    worker_splice(worker);
    (void)worker_run(worker);
    (void)worker_run_stealable(worker);
}

static void live(unsigned index, unsigned turns, bool may_wake)
{
    worker_set_current(&workers[index]);
    for (unsigned i = 0; i < turns; i++) {
        doze(&workers[index], may_wake);
        run_found(&workers[index]);
    }
    is_awake[index] = true;
}

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

/* ---- the end ------------------------------------------------------------------------------------------------------------------------ */

static void check_counts(void)
{
    uint64_t asleep = 0, summons = 0;
    for (unsigned i = 0; i < crew->count; i++) {
        asleep += inbox_is_parked(&workers[i].inbox);
        summons += workers[i].summon_count;
        MODEL_CHECK(!workers[i].is_searching);
    }
    MODEL_CHECK(crew->idle == asleep << 32);
    MODEL_CHECK(summons <= 2 * task_count - 1); /* by its pusher, and by who found it and left it */
}

/* Those that are awake find and run what is left, sooner or later. */
static void drain(void)
{
    for (unsigned round = 0; round < TASKS_MAX; round++)
        for (unsigned i = 0; i < crew->count; i++)
            if (is_awake[i]) {
                worker_set_current(&workers[i]);
                (void)worker_search(&workers[i]);
                run_found(&workers[i]);
            }
    worker_set_current(NULL);
}

static void check(void)
{
    uint64_t left = 0;
    check_counts();
    drain();
    for (unsigned i = 0; i < task_count; i++) {
        MODEL_CHECK(tasks[i].run_count <= 1);
        left += tasks[i].run_count == 0;
    }
    MODEL_CHECK(left <= kept_max); /* else all are asleep, and this is left */
    for (unsigned i = 0; i < crew->count; i++)
        crew_unref(crew);
    crew_unref(crew);
}

/* ---- pushed from outside -------------------------------------------------------------------------------------------------------------- */

static void setup_push_park(void)
{
    make_crew(2, 1);
}

static void push_0(void)
{
    MODEL_CHECK(crew_push(crew, task_make(0)));
}
static void push_1(void)
{
    MODEL_CHECK(crew_push(crew, task_make(1)));
}

static void push_both(void)
{
    push_0();
    push_1();
}

static void setup_two_tasks(void)
{
    make_crew(2, 2);
}

/* ---- pushed on a ring ------------------------------------------------------------------------------------------------------------------- */

static void setup_ring(void)
{
    make_crew(2, 2);
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
        .setup = setup_two_tasks,
        .threads = {push_both, finder_0, sleeper_1},
        .check = check,
        .may_sleep = true,
    },
    {
        .name = "push_rise",
        .about = "A worker that wakes by itself as it is summoned searches, and is counted right.",
        .setup = setup_push_park,
        .threads = {push_0, riser_0, sleeper_1},
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
        .random_runs = 2000,
        .may_sleep = true,
    },
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models, .model_count = sizeof(models) / sizeof(models[0]), .owns = {"lib/sched/crew."}};
    return model_main(&suite, argc, argv);
}
