/*
 * Crew scene: loops as lib/loop/turn.c makes them of workers, and what must hold when all of them sleep or have ended.
 */
#include "tests/model/crew_scene.h"

struct crew *crew;
struct worker workers[WORKERS_MAX];
struct model_token tokens[WORKERS_MAX];
struct task tasks[TASKS_MAX];
unsigned task_count;        /* pushed in all, for check */
bool is_awake[WORKERS_MAX]; /* has ended its thread awake, and would look again */
uint64_t kept_max;          /* what a worker that computes may keep in its ring */

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

void make_crew(unsigned worker_count, unsigned tasks_pushed, const struct crew_ops *ops)
{
    crew = crew_create(WORKERS_MAX, ops);
    for (unsigned i = 0; i < worker_count; i++) {
        worker_init(&workers[i], &parker);
        crew_join(crew, &workers[i], i);
    }
    task_count = tasks_pushed;
}

struct weft_work *task_make(unsigned index)
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
void doze_on(struct worker *worker, bool may_wake)
{
    if (may_wake)
        (void)model_wait_timeout(&tokens[worker - workers]);
    else
        model_wait(&tokens[worker - workers]);
    rise(worker);
}

void doze(struct worker *worker, bool may_wake)
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
    doze_on(worker, may_wake);
}

void run_found(struct worker *worker)
{
    worker_splice(worker);
    (void)worker_run(worker);
    (void)worker_run_stealable(worker);
}

void live(unsigned index, unsigned turns, bool may_wake)
{
    worker_set_current(&workers[index]);
    for (unsigned i = 0; i < turns; i++) {
        doze(&workers[index], may_wake);
        run_found(&workers[index]);
    }
    is_awake[index] = true;
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
    MODEL_CHECK(workers[0].vain_count == 0 || task_count > 1 || crew->count > 2);
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

void check(void)
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
