/*
 * A crew of workers that no loop runs. The parker of these counts.
 */
#include "tests/sched/crew.h"

#include "weft/atomic.h"

/* The first is alone on its page, for who watches a word of it (see tests/support/intruder.h). */
struct sleeper sleepers[WORKERS_MAX] __attribute__((aligned(4096)));
struct crew *crew;
void (*on_wake)(struct worker *worker);

static void wake(struct worker *worker)
{
    struct sleeper *sleeper = (struct sleeper *)worker;
    (void)weft_atomic_add_relaxed(&sleeper->wake_count, 1);
    if (on_wake != NULL)
        on_wake(worker);
}

static int measure(struct worker *worker, struct weft_work *work)
{
    (void)worker;
    return work->run(work);
}

static const struct parker_ops counting_parker = {.wake = wake, .measure = measure};

void crew_setup(uint32_t count, const struct crew_ops *ops)
{
    CHECK(count <= WORKERS_MAX);
    crew = crew_create(count, ops);
    CHECK(crew != NULL);
    for (uint32_t i = 0; i < count; i++) {
        worker_init(&sleepers[i].worker, &counting_parker);
        sleepers[i].worker.is_virtual = true;
        sleepers[i].wake_count = 0;
        crew_join(crew, &sleepers[i].worker, i + 1);
    }
}

void crew_teardown(void)
{
    CHECK_EQ(parked_count(), 0);
    CHECK_EQ(searching_count(), 0);
    CHECK(injector_is_empty(&crew->injector));
    for (uint32_t i = 0; i < crew->count; i++) {
        CHECK(!worker_has_stealable(&sleepers[i].worker));
        CHECK_EQ(sleepers[i].wake_count, sleepers[i].worker.owed_count);
    }
    uint32_t count = crew->count;
    for (uint32_t i = 0; i < count; i++)
        worker_fini(&sleepers[i].worker);
    crew_unref(crew);
}

bool sleeper_park(uint32_t index)
{
    struct worker *worker = &sleepers[index].worker;
    CHECK(inbox_park(&worker->inbox));
    if (crew_park(worker))
        return true;
    worker_unpark(worker);
    return false;
}

bool sleeper_unpark(uint32_t index)
{
    struct worker *worker = &sleepers[index].worker;
    bool is_summoned = crew_unpark(worker);
    worker_unpark(worker);
    return is_summoned;
}

uint32_t wakes(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < crew->count; i++)
        count += weft_atomic_load_relaxed(&sleepers[i].wake_count);
    return count;
}

uint32_t parked_count(void)
{
    return (uint32_t)(weft_atomic_load_relaxed(&crew->idle) >> 32);
}

uint32_t searching_count(void)
{
    return (uint32_t)weft_atomic_load_relaxed(&crew->idle);
}

void push_outside(struct item *item)
{
    struct worker *outer = worker_current();
    worker_set_current(NULL);
    work_ready_stealable(item->home, &item->work);
    worker_set_current(outer);
}

void push_from(uint32_t index, struct item *item)
{
    worker_set_current(&sleepers[index].worker);
    work_ready_stealable(item->home, &item->work);
    worker_set_current(NULL);
}

int run_stealable(uint32_t index)
{
    worker_set_current(&sleepers[index].worker);
    int status = worker_run_stealable(&sleepers[index].worker);
    worker_set_current(NULL);
    return status;
}

static int run_item(struct weft_work *work)
{
    struct item *item = (struct item *)work;
    item->run_count++;
    if (item->left-- > 0)
        work_ready_stealable(item->home, work);
    return 0;
}

void item_init(struct item *item, int left)
{
    *item = (struct item){.work = {NULL, run_item}, .home = &sleepers[0].worker, .left = left};
}
