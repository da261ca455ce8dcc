/*
 * Models of fork and join against thieves: each job runs once, its joiner sees what it wrote, nobody touches a slot that is another's, and
 * all that was borrowed comes back.
 */
#include "tests/model/job_scene.h"

enum { JOBS_MAX = 3 };

static unsigned results[JOBS_MAX]; /* plain: written by who runs the job, read by who has joined it */

static int leaf(void *arg)
{
    unsigned *result = arg;
    *result += 1;
    return 5;
}

static void fork_job(struct weft_fork *fork, unsigned index)
{
    MODEL_CHECK(weft_fork(fork, leaf, &results[index]) == 0);
}

static void join_job(struct weft_fork *fork, unsigned index)
{
    job_spin(model_choose(2) == 1);
    MODEL_CHECK(weft_join(fork) == 5);
    job_spin(true);
    MODEL_CHECK(results[index] == 1);
}

static void owner_of(unsigned count)
{
    struct weft_fork forks[JOBS_MAX];
    job_enter(0);
    job_fiber_here(true);
    for (unsigned i = 0; i < count; i++)
        fork_job(&forks[i], i);
    for (unsigned i = count; i-- > 0;)
        join_job(&forks[i], i);
    job_end();
}

static void owner_of_one(void)
{
    owner_of(1);
}

static void owner_of_two(void)
{
    owner_of(2);
}

/* The same stack is used twice: a thief may come late from its first life. */
static void owner_twice(void)
{
    struct weft_fork fork;
    job_enter(0);
    for (unsigned i = 0; i < 2; i++) {
        job_fiber_here(true);
        fork_job(&fork, i);
        join_job(&fork, i);
        job_end();
    }
}

static void thief(void)
{
    job_enter(1);
    (void)job_thieve();
}

static void setup_three(void)
{
    job_loop_count = 3;
    job_setup();
}

static void thief_2(void)
{
    job_enter(2);
    (void)job_thieve_from(0, 2);
}

static void thief_twice(void)
{
    job_enter(1);
    (void)job_thieve();
    (void)job_thieve();
}

/* ---- swapped --------------------------------------------------------------------------------------------------------------------------------- */

/* Reads the slot before it has taken it. */
static void thief_swapped(void)
{
    job_enter(1);
    struct weft_job_stack *stack = weft_atomic_load_acquire(&loops[0].worker.jobs);
    if (stack == NULL || job_stack_public_count(stack) == 0)
        return;
    struct weft_job job = stack->slots[0];
    if (job_stack_steal(stack) != NULL)
        job.run(stack, &job);
}

static const struct model models[] = {
    {
        .name = "join_thief",
        .about = "One job, one thief: it is run by one of them, and joined after that.",
        .setup = job_setup,
        .threads = {owner_of_one, thief},
        .check = job_check,
    },
    {
        .name = "join_two",
        .about = "Two jobs: the older one is stolen while the newer one is taken back.",
        .setup = job_setup,
        .threads = {owner_of_two, thief},
        .check = job_check,
        .bound = 2,
    },
    {
        .name = "next_life",
        .about = "A thief that comes late finds the stack in its next life, and steals from that.",
        .setup = job_setup,
        .threads = {owner_twice, thief},
        .check = job_check,
        .bound = 2,
    },
    {
        .name = "two_thieves",
        .about = "Two jobs and two looks of a thief, at random.",
        .setup = job_setup,
        .threads = {owner_of_two, thief_twice},
        .check = job_check,
        .bound = -1,
        .random_runs = 1000,
    },
    {
        .name = "next_life_of_three",
        .about = "Of two thieves one may hold the stack from its first life, and the other one from its next.",
        .setup = setup_three,
        .threads = {owner_twice, thief, thief_2},
        .check = job_check,
        .bound = 2,
    },
};

static const struct model broken[] = {
    {
        .name = "join_thief_swapped",
        .about = "A thief that reads the slot before it has taken it reads what is another's.",
        .setup = job_setup,
        .threads = {owner_twice, thief_swapped},
        .may_leak = true,
    },
};

int main(int argc, char **argv)
{
    static const struct model_equivalent equivalent[] = {
        {"job_steal.c:job_take:store_release>late",
         "the thief's next operation is its own: it begins to run the child, which the owner can only wait for a little longer"},
        {NULL, NULL},
    };
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .owns = {"job.c:thief_child", "job_steal.c:job_take"},
        .equivalent = equivalent,
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
    };
    return model_main(&suite, argc, argv);
}
