/*
 * Models of a fiber that offers its jobs: by the assist item as it suspends, and to who is hungry as it computes.
 */
#include "tests/model/job_scene.h"

enum { JOBS_MAX = 2 };

static struct weft_fork forks[JOBS_MAX];
static unsigned results[JOBS_MAX];

static int leaf(void *arg)
{
    unsigned *result = arg;
    *result += 1;
    return 5;
}

static void fork_job(unsigned index)
{
    MODEL_CHECK(weft_fork(&forks[index], leaf, &results[index]) == 0);
}

static void join_job(unsigned index)
{
    job_spin(false);
    MODEL_CHECK(weft_join(&forks[index]) == 5);
    MODEL_CHECK(results[index] == 1);
}

static void join_all(unsigned count)
{
    for (unsigned i = count; i-- > 0;)
        join_job(i);
    job_end();
}

/* ---- the assist item ---------------------------------------------------------------------------------------------------------------------- */

/* Suspends with open jobs; its loop runs what it finds; then it goes on. */
static void owner_leaving(void)
{
    job_enter(0);
    job_fiber_here(true);
    fork_job(0);
    fork_job(1);
    jobs_leave(job_owner(), false);
    job_fiber_here(false);
    jobs_show(NULL);
    (void)worker_run_stealable(&loops[0].worker);
    job_fiber_here(true);
    jobs_show(job_owner());
    join_all(2);
}

/* Suspends twice, with one more job each time, and for good then. */
static void owner_leaving_twice(void)
{
    job_enter(0);
    job_fiber_here(true);
    fork_job(0);
    jobs_leave(job_owner(), false);
    fork_job(1);
    jobs_leave(job_owner(), false);
    job_fiber_here(false);
    jobs_show(NULL);
}

/* Suspends, takes its job back, and suspends for good with another one. */
static void owner_leaving_anew(void)
{
    job_enter(0);
    job_fiber_here(true);
    fork_job(0);
    jobs_leave(job_owner(), false);
    join_job(0);
    fork_job(1);
    jobs_leave(job_owner(), false);
    job_fiber_here(false);
    jobs_show(NULL);
}

static int run_nothing(struct weft_work *work)
{
    (void)work;
    return 0;
}

static struct weft_work fillers[2 * RING_CAPACITY];
static unsigned filler_count;

/* Of a full ring half is spilled, with what comes: the item goes to the injector, which writes the link in it. */
static void fill_ring(void)
{
    fillers[filler_count].run = run_nothing;
    while (ring_push(&loops[0].worker.ring, &fillers[filler_count])) {
        filler_count++;
        fillers[filler_count].run = run_nothing;
    }
}

static void setup_full(void)
{
    job_setup();
    fill_ring();
}

/* Suspends twice, and each time its loop has much else to do. */
static void owner_spilling_twice(void)
{
    job_enter(0);
    job_fiber_here(true);
    fork_job(0);
    jobs_leave(job_owner(), false);
    fork_job(1);
    fill_ring();
    jobs_leave(job_owner(), false);
    job_fiber_here(false);
    jobs_show(NULL);
}

/* Takes what lies in the injector, which unlinks it. */
static void list_runner(void)
{
    struct weft_work_list list = {NULL, NULL, 0};
    struct weft_work *work;
    job_enter(1);
    (void)injector_take(&crew->injector, RING_CAPACITY, &list);
    while ((work = weft_work_list_pop(&list)) != NULL)
        (void)work->run(work);
}

/* A loop that takes what it finds: the item from the ring, or a job. */
static void assistant(void)
{
    struct worker *worker = &loops[1].worker;
    job_enter(1);
    if (crew_steal(worker))
        (void)worker_run_stealable(worker);
}

/* One that takes the item only. */
static void run_item(unsigned index)
{
    struct worker *worker = &loops[index].worker;
    job_enter(index);
    if (ring_steal(&loops[0].worker.ring, &worker->ring) > 0)
        (void)worker_run_stealable(worker);
}

static void item_runner(void)
{
    run_item(1);
}

static void item_runner_2(void)
{
    run_item(2);
}

/* The owner has suspended once: its item is queued. */
static void setup_left(void)
{
    job_loop_count = 3;
    job_setup();
    job_enter(0);
    job_fiber_here(true);
    fork_job(0);
    jobs_leave(job_owner(), false);
    job_fiber_here(false);
    worker_set_current(NULL);
}

/* Suspends once more, with another job, and for good. */
static void owner_leaving_again(void)
{
    job_enter(0);
    job_fiber_here(true);
    fork_job(1);
    jobs_leave(job_owner(), false);
    job_fiber_here(false);
    jobs_show(NULL);
}

/* Whoever found the item queued has left its jobs to that run: when all items have run, no job is left. */
static void check_offered(void)
{
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < LOOPS; i++) {
            job_enter(i);
            (void)worker_run_stealable(&loops[i].worker);
        }
    MODEL_CHECK(job_stack_public_count(&job_owner()->stack) == 0);
    job_enter(0);
    job_fiber_here(true);
    join_job(1);
    if (job_stack_count(&job_owner()->stack) > 0)
        join_job(0);
    job_end();
    job_check();
}

static void check_spilled(void)
{
    while (!injector_is_empty(&crew->injector))
        list_runner();
    check_offered();
}

/* ---- who is hungry -------------------------------------------------------------------------------------------------------------------------- */

static bool has_parked[LOOPS];

static void setup_parking(void)
{
    job_setup();
    crew_search_end(&loops[1].worker);
}

static void setup_parking_three(void)
{
    job_loop_count = 3;
    setup_parking();
}

/* Computes on, and comes to no fork again. */
static void owner_forking(void)
{
    job_enter(0);
    job_fiber_here(true);
    fork_job(0);
    fork_job(1);
}

static void park(unsigned index)
{
    job_enter(index);
    (void)inbox_park(&loops[index].worker.inbox);
    has_parked[index] = crew_park(&loops[index].worker);
}

static void parker_1(void)
{
    park(1);
}

static void parker_2(void)
{
    park(2);
}

/* One is summoned at a time, and summons the next. */
static void check_asked(void)
{
    bool is_asleep = false, is_summoned = false;
    for (unsigned i = 1; i < LOOPS; i++) {
        is_asleep = is_asleep || has_parked[i];
        is_summoned = is_summoned || loops[i].worker.summon_count > 0;
    }
    MODEL_CHECK(!is_asleep || is_summoned || job_owner()->stack.limit == NULL); /* the owner sees it at its next fork */
    job_enter(0);
    job_fiber_here(true);
    join_all(2);
    job_check();
}

/* ---- swapped ---------------------------------------------------------------------------------------------------------------------------------- */

/* Looks for jobs, and lets the item be queued again after that. */
static void item_runner_swapped(void)
{
    struct worker *worker = &loops[1].worker;
    struct weft_work *job;
    job_enter(1);
    if (ring_steal(&loops[0].worker.ring, &worker->ring) == 0)
        return;
    struct fiber_jobs *jobs = weft_container_of(ring_pop(&worker->ring), struct fiber_jobs, assist);
    while ((job = job_crew_ops.take_job(worker, &jobs->stack)) != NULL)
        (void)job->run(job);
    (void)weft_atomic_exchange_acq_rel(&jobs->is_assist_queued, 0);
    jobs_unref(jobs);
}

static const struct model models[] = {
    {
        .name = "leave_spilled",
        .about = "Who queues the item anew comes after who has taken it from a list, and writes its link when he has.",
        .setup = setup_full,
        .threads = {owner_spilling_twice, list_runner},
        .check = check_spilled,
        .bound = 2,
    },
    {
        .name = "feed",
        .about = "A fiber that shows its jobs sees who is hungry, or is asked by who parks.",
        .setup = setup_parking,
        .threads = {owner_forking, parker_1},
        .check = check_asked,
        .bound = 3,
    },
    {
        .name = "leave_anew",
        .about = "The same when the jobs that the item was queued for are gone.",
        .setup = job_setup,
        .threads = {owner_leaving_anew, item_runner},
        .check = check_offered,
        .bound = 3,
    },
    {
        .name = "leave_twice",
        .about = "Who finds the item queued leaves its jobs to that run, which sees them.",
        .setup = job_setup,
        .threads = {owner_leaving_twice, item_runner},
        .check = check_offered,
        .bound = 3,
    },
    {
        .name = "leave",
        .about = "A fiber that suspends offers its jobs once, however often it is asked, and its stack stays until that is over.",
        .setup = job_setup,
        .threads = {owner_leaving, assistant},
        .check = job_check,
        .bound = 2,
    },
    {
        .name = "leave_to_two",
        .about = "The item that one loop runs is queued again meanwhile, for another loop: no job is left, and the stack stays for both.",
        .setup = setup_left,
        .threads = {owner_leaving_again, item_runner, item_runner_2},
        .check = check_offered,
        .bound = 2,
        .random_runs = 1000,
    },
    {
        .name = "feed_two",
        .about = "Two who park as a fiber shows its jobs are not both left asleep, unless it is asked.",
        .setup = setup_parking_three,
        .threads = {owner_forking, parker_1, parker_2},
        .check = check_asked,
        .bound = 2,
    },
};

static const struct model broken[] = {
    {
        .name = "leave_twice_swapped",
        .about = "An item that is cleared after the look leaves the jobs that came in between to nobody.",
        .setup = job_setup,
        .threads = {owner_leaving_twice, item_runner_swapped},
        .check = check_offered,
        .bound = 3,
    },
    {
        .name = "leave_to_two_swapped",
        .about = "The same when another loop, which does it right, may have run the item before.",
        .setup = setup_left,
        .threads = {owner_leaving_again, item_runner_swapped, item_runner_2},
        .check = check_offered,
        .bound = 2,
    },
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .owns = {"job_steal.c:jobs_queue_assist", "job_steal.c:jobs_assist", "job.c:is_hungry"},
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
    };
    return model_main(&suite, argc, argv);
}
