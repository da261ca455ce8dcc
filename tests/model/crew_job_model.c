/*
 * Models of a crew whose fibers have jobs: what a fiber shows is found whole, and what it publishes wakes who sleeps.
 *
 * lib/sched and the job stack are real; the fiber is a thread that publishes one job and computes on.
 */
#include "lib/lockfree/job_stack.h"
#include "tests/model/crew_scene.h"
#include "weft/memory.h"

static struct weft_job_stack *stack; /* of the fiber that runs on workers[1] */

static struct weft_work *take_job(struct worker *thief, struct weft_job_stack *from)
{
    (void)thief;
    struct weft_job *job = job_stack_steal(from);
    return job == NULL ? NULL : job->context;
}

static void ask(struct weft_job_stack *from)
{
    MODEL_CHECK(from->layout == WEFT_JOB_LAYOUT);
    job_stack_ask(from);
}

static const struct crew_ops ops = {.take_job = take_job, .ask = ask};

static void setup_jobs(void)
{
    make_crew(2, 1, &ops);
}

static void setup_jobs_three(void)
{
    make_crew(3, 1, &ops);
}

/* As jobs_show() and jobs_feed() do it. It computes on, and does not come to its job. */
static void publisher_1(void)
{
    struct weft_job *slots = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, 2 * sizeof(*slots));
    stack = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, sizeof(*stack));
    *stack = (struct weft_job_stack){.layout = 0};
    job_stack_init(stack, slots, 1);
    stack->top++->context = task_make(0);
    worker_set_jobs(&workers[1], stack);
    weft_atomic_fence_seq_cst();
    job_stack_publish(stack, 1);
    crew_notify(crew);
}

static void check_jobs(void)
{
    check();
    weft_free(stack->slots);
    weft_free(stack);
}

static void sleeper_0(void)
{
    live(0, 1, false);
}

static void sleeper_2(void)
{
    live(2, 1, false);
}

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

/* Looks at what is published before it says that it is parked. */
static void sleeper_swapped(void)
{
    struct weft_job_stack *seen = weft_atomic_load_seq_cst(&workers[1].jobs);
    if (seen != NULL && job_stack_public_count(seen) > 0)
        return;
    (void)inbox_park(&workers[0].inbox);
    weft_atomic_store_relaxed(&workers[0].idle_state, 1);
    (void)weft_atomic_add_seq_cst(&crew->idle, UINT64_C(1) << 32);
    model_wait(&tokens[0]);
}

static const struct model models[] = {
    {
        .name = "publish_park",
        .about = "A job that is published as a worker falls asleep is seen by it, or wakes it.",
        .setup = setup_jobs,
        .threads = {publisher_1, sleeper_0},
        .check = check_jobs,
        .may_sleep = true,
    },
    {
        .name = "publish_search",
        .about = "A searcher that nobody has summoned finds a whole job stack, or none.",
        .setup = setup_jobs,
        .threads = {publisher_1, searcher_0},
        .check = check_jobs,
        .may_sleep = true,
    },
    {
        .name = "publish_two_park",
        .about = "A job that is published as two fall asleep wakes one of them, or is seen by one.",
        .setup = setup_jobs_three,
        .threads = {publisher_1, sleeper_0, sleeper_2},
        .check = check_jobs,
        .bound = 2,
        .random_runs = 1000,
        .may_sleep = true,
    },
};

static const struct model broken[] = {
    {
        .name = "publish_swapped",
        .about = "A worker that looks for jobs before it says that it is parked sleeps over one.",
        .setup = setup_jobs,
        .threads = {publisher_1, sleeper_swapped},
        .may_leak = true,
    },
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(models[0]),
                                             .owns = {"crew.c:steal_job", "crew.c:has_more", "job_stack.c:job_stack_publish"},
                                             .broken = broken,
                                             .broken_count = 1};
    return model_main(&suite, argc, argv);
}
