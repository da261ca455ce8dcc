/*
 * Models of one fiber that forks and two thieves on loops of their own, of which one may steal from the other's child: each job runs once,
 * wherever it gets to, is joined after that, and every stack comes home.
 *
 * There is no counter here that comes round: split and tail count slots, and stay below the capacity; a late thief is told by the
 * compare-and-swap of both, not by a generation.
 */
#include "tests/model/job_scene.h"

enum { JOBS_MAX = 3, INNER = 2 };

static unsigned results[JOBS_MAX]; /* plain: written by who runs the job, read by who has joined it */

static struct model_token has_forked, has_looked;

static int leaf(void *arg)
{
    unsigned *result = arg;
    *result += 1;
    return 5;
}

static void join_job(struct weft_fork *fork, unsigned index)
{
    MODEL_CHECK(weft_join(fork) == 5);
    MODEL_CHECK(results[index] == 1);
}

/* A job that forks one itself, on the stack of the fiber that runs it. */
static int branch(void *arg)
{
    struct weft_fork inner;
    MODEL_CHECK(weft_fork(&inner, leaf, &results[INNER]) == 0);
    model_signal(&has_forked);
    (void)model_wait_timeout(&has_looked); /* as long as it likes */
    join_job(&inner, INNER);
    return leaf(arg);
}

static void setup(void)
{
    job_loop_count = 3;
    job_setup();
}

static void owner_of_one(void)
{
    struct weft_fork fork;
    job_enter(0);
    job_fiber_here(true);
    MODEL_CHECK(weft_fork(&fork, leaf, &results[0]) == 0);
    join_job(&fork, 0);
    job_end();
}

static void owner_of_two(void)
{
    struct weft_fork forks[2];
    job_enter(0);
    job_fiber_here(true);
    MODEL_CHECK(weft_fork(&forks[0], branch, &results[0]) == 0);
    MODEL_CHECK(weft_fork(&forks[1], leaf, &results[1]) == 0);
    join_job(&forks[1], 1);
    join_job(&forks[0], 0);
    job_end();
}

static void thief_1(void)
{
    job_enter(1);
    (void)job_thieve_from(0, 1);
}

static void thief_2(void)
{
    job_enter(2);
    (void)job_thieve_from(0, 2);
}

/* Goes to the other thief first, once the branch has forked, and to the owner if that shows nothing. */
static void thief_of_thief(void)
{
    model_wait(&has_forked);
    job_enter(2);
    if (!job_thieve_from(1, 2))
        (void)job_thieve_from(0, 2);
    model_signal(&has_looked);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Reads the slot before it has taken it, and never says who runs the job. */
static void thief_swapped(void)
{
    job_enter(2);
    struct weft_job_stack *stack = weft_atomic_load_acquire(&loops[0].worker.jobs);
    if (stack == NULL || job_stack_public_count(stack) == 0)
        return;
    struct weft_job job = stack->slots[0];
    if (job_stack_steal(stack) != NULL)
        job.run(stack, &job);
}

static const struct model models[] = {
    {
        .name = "one_job",
        .about = "Two thieves after one job: one of the three runs it, and the other's child is dropped.",
        .setup = setup,
        .threads = {owner_of_one, thief_1, thief_2},
        .check = job_check,
        .bound = 2,
    },
    {
        .name = "thief_of_thief",
        .about = "A stolen job forks, and what it forks is stolen by another.",
        .setup = setup,
        .threads = {owner_of_two, thief_1, thief_of_thief},
        .check = job_check,
        .bound = 2,
        .random_runs = 1000,
    },
};

static const struct model broken[] = {
    {
        .name = "one_job_swapped",
        .about = "A thief that does not say who runs what it has taken, and reads the slot before.",
        .setup = setup,
        .threads = {owner_of_one, thief_1, thief_swapped},
        .bound = 2,
        .may_leak = true,
    },
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
    };
    return model_main(&suite, argc, argv);
}
