/*
 * Models of a worker that sleeps, wakes and ends: each work that is posted runs once, each wake-up that somebody owes has arrived before the
 * worker goes, and who calls on a job stack finds one.
 *
 * lib/sched/worker.c and the inbox are real. The poller is a token in a block of its own, which the closing owner frees.
 */
#include "lib/sched/worker.h"

#include "lib/lockfree/job_stack.h"
#include "tests/model/checker.h"
#include "weft/memory.h"

enum { WORKS = 2 };

struct poller {
    uint64_t state; /* plain, as a descriptor: read by wakers, gone with the poller */
    struct model_token token;
};

static struct worker *worker;
static struct poller *poller;
static struct weft_work works[WORKS];
static unsigned run_count[WORKS];

static void wake(struct worker *woken)
{
    (void)woken;
    MODEL_CHECK(poller->state == 1);
    model_signal(&poller->token);
}

static const struct parker_ops parker = {.wake = wake};

static int run(struct weft_work *work)
{
    run_count[work - works]++;
    return 0;
}

static void setup(void)
{
    worker = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, sizeof(*worker));
    poller = weft_calloc(1, sizeof(*poller));
    poller->state = 1;
    worker_init(worker, &parker);
    for (int i = 0; i < WORKS; i++)
        works[i].run = run;
}

static void free_worker(void)
{
    weft_free(poller);
    weft_free(worker);
}

/* ---- the owner ------------------------------------------------------------------------------------------------------------------------ */

static bool has_slept;

/* Its first sleep may end by itself. */
static void run_or_sleep(void)
{
    worker_splice(worker);
    if (worker->fifo.head != NULL) {
        (void)worker_run(worker);
    } else if (inbox_park(&worker->inbox)) {
        if (has_slept)
            model_wait(&poller->token);
        else
            (void)model_wait_timeout(&poller->token);
        has_slept = true;
        worker_unpark(worker);
    }
}

static unsigned ran(void)
{
    return run_count[0] + run_count[1];
}

static void end(void)
{
    worker_close(worker);
    worker_await_wakers(worker);
    free_worker();
}

static void owner_of_one(void)
{
    worker_set_current(worker);
    while (ran() < 1)
        run_or_sleep();
    end();
}

static void owner_of_two(void)
{
    worker_set_current(worker);
    while (ran() < 2)
        run_or_sleep();
    end();
}

/* It does not wait for what comes: who comes too late lets go by himself, and the worker stays until he has. */
static void owner_closing(void)
{
    worker_set_current(worker);
    if (inbox_park(&worker->inbox)) {
        (void)model_wait_timeout(&poller->token);
        worker_unpark(worker);
    }
    worker_splice(worker);
    worker_close(worker);
    worker_await_wakers(worker);
    poller->state = 0;
}

/* ---- the others ----------------------------------------------------------------------------------------------------------------------- */

static void poster_0(void)
{
    work_ready(worker, &works[0]);
}

static void poster_1(void)
{
    work_ready(worker, &works[1]);
}

static void chain_poster(void)
{
    works[0].next = &works[1];
    work_ready_chain(worker, &works[0], &works[1], 2);
}

static void check_ran_once(void)
{
    for (int i = 0; i < WORKS; i++)
        MODEL_CHECK(run_count[i] <= 1);
}

static void check_both_ran(void)
{
    for (int i = 0; i < WORKS; i++)
        MODEL_CHECK(run_count[i] == 1);
    free_worker();
}

/* Says that the wake-up has arrived before it has: the poller may go meanwhile. */
static void poster_swapped(void)
{
    if (inbox_push(&worker->inbox, &works[0], &works[0]) != INBOX_PUSHED_WAKE)
        return;
    (void)weft_atomic_add_acq_rel(&worker->wake_count, 1);
    worker->parker->wake(worker);
}

/* ---- who computes ----------------------------------------------------------------------------------------------------------------------- */

static struct weft_job slots[2];

/* A stack is made, shown, and left. */
static void computer(void)
{
    struct weft_job_stack *stack = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, sizeof(*stack));
    *stack = (struct weft_job_stack){.layout = WEFT_JOB_LAYOUT};
    job_stack_init(stack, slots, 1);
    worker_set_jobs(worker, stack);
    (void)job_stack_hear(stack);
    worker_set_jobs(worker, NULL);
}

static void caller(void)
{
    worker_call_on_jobs(worker);
}

/* ---- the models ------------------------------------------------------------------------------------------------------------------------- */

static const struct model models[] = {
    {
        .name = "post_end",
        .about = "A worker that has run what it was posted ends, and whoever woke it does not touch it any more.",
        .setup = setup,
        .threads = {owner_of_one, poster_0},
        .check = check_ran_once,
    },
    {
        .name = "two_posters",
        .about = "Two post, one of them may have to wake: both works run, and both posters are done before the worker is freed.",
        .setup = setup,
        .threads = {owner_of_two, poster_0, poster_1},
        .bound = 3,
        .check = check_ran_once,
    },
    {
        .name = "post_close",
        .about = "Whoever posts to a worker that closes either has it run there or runs it himself.",
        .setup = setup,
        .threads = {owner_closing, poster_0, poster_1},
        .bound = 3,
        .check = check_both_ran,
    },
    {
        .name = "chain_close",
        .about = "A chain is taken whole or refused whole.",
        .setup = setup,
        .threads = {owner_closing, chain_poster},
        .check = check_both_ran,
    },
    {
        .name = "call_on_jobs",
        .about = "Who calls on the fiber that computes finds a whole job stack, or none.",
        .setup = setup,
        .threads = {computer, caller},
        .may_leak = true,
    },
};

static const struct model broken[] = {
    {
        .name = "post_end_swapped",
        .about = "A wake-up that is counted as arrived before it is sent touches a worker that is gone.",
        .setup = setup,
        .threads = {owner_of_one, poster_swapped},
    },
};

int main(int argc, char **argv)
{
    static const struct model_equivalent equivalent[] = {
        {"worker.h:worker_set_jobs:store_release>late", "it passes the look at how deep the monitor sleeps, which is a hint: a sleep that "
                                                        "is not near has an end, and a sleep without an end "
                                                        "was left before"},
        {NULL, NULL},
    };
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .owns = {"lib/sched/worker."},
        .equivalent = equivalent,
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
    };
    return model_main(&suite, argc, argv);
}
