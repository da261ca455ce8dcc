/*
 * Models of the job stack: one owner that forks and joins, and thieves. The owner waits for a thief as lib/task/job.c does: by the child that
 * the thief puts into the slot. Stacks have two slots or four and are used again.
 */
#include "lib/lockfree/job_stack.h"

#include "tests/model/checker.h"

enum { CAPACITY = 3, ROUNDS = 3 };

static struct weft_job_stack stack;
static struct weft_job slots[CAPACITY];
static unsigned runs[ROUNDS]; /* plain: how often each job ran */
static uint32_t is_idle;      /* atomic: a thief sleeps, as crew.idle says it */
static struct model_token token;

/* ---- jobs: the first byte of the argument says which one, and is counted up by who runs it ------------------------------------------- */

static void run_job(struct weft_job_stack *where, struct weft_job *job)
{
    (void)where;
    MODEL_CHECK(job->argument[0] < ROUNDS);
    runs[job->argument[0]]++;
    job->argument[0] += 100;
}

static void setup(void)
{
    job_stack_init(&stack, slots, CAPACITY);
}

static void push(unsigned index)
{
    struct weft_job *job = stack.top;
    job->run = run_job;
    job->argument[0] = (unsigned char)index;
    stack.top = job + 1;
}

/* As jobs_publish() does. */
static void publish(uint32_t count)
{
    struct weft_job *job = stack.top - job_stack_private_count(&stack);
    for (uint32_t i = 0; i < count; i++)
        job[i].child = NULL;
    job_stack_publish(&stack, count);
}

static void push_public(unsigned index)
{
    push(index);
    publish(1);
}

/* Steal a job, run it, and say so. */
static bool steal(void)
{
    struct weft_job *job = job_stack_steal(&stack);
    if (job == NULL)
        return false;
    job->run(&stack, job);
    weft_atomic_store_release(&job->child, (void *)&token);
    return true;
}

/* As weft_job_join(): take the newest back and run it, or wait for its thief. */
static void join(unsigned index)
{
    struct weft_job *job = stack.top - 1;
    if (job_stack_private_count(&stack) > 0 || job_stack_take_back(&stack)) {
        MODEL_CHECK(stack.split <= job);
        stack.top = job;
        job->run(&stack, job);
    } else {
        while (weft_atomic_load_acquire(&job->child) == NULL)
            weft_atomic_pause();
        job_stack_pop_stolen(&stack);
    }
    MODEL_CHECK(job->argument[0] == index + 100);
}

static void check_runs(void)
{
    MODEL_CHECK(job_stack_count(&stack) == 0 && job_stack_public_count(&stack) == 0 && job_stack_private_count(&stack) == 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        MODEL_CHECK(runs[i] <= 1);
}

/* ---- owner and thieves --------------------------------------------------------------------------------------------------------------- */

static void fork_one(void)
{
    push_public(0);
    join(0);
    MODEL_CHECK(runs[0] == 1);
}

static void fork_two(void)
{
    push(0);
    push(1);
    publish(2);
    join(1);
    join(0);
    MODEL_CHECK(runs[0] == 1 && runs[1] == 1);
}

static void fork_three(void)
{
    push(0);
    push_public(1);
    publish(1);
    push(2);
    join(2);
    join(1);
    join(0);
    MODEL_CHECK(runs[0] == 1 && runs[1] == 1 && runs[2] == 1);
}

/* A slot is used again, by a job that is not public at first. */
static void fork_again(void)
{
    push_public(0);
    join(0);
    push(1);
    publish(1);
    join(1);
    MODEL_CHECK(runs[0] == 1 && runs[1] == 1);
}

/* The stack is given to another fiber in between. */
static void fork_recycled(void)
{
    push_public(0);
    join(0);
    job_stack_init(&stack, slots, CAPACITY);
    push(1);
    push_public(2);
    join(2);
    join(1);
    MODEL_CHECK(runs[0] == 1 && runs[1] == 1 && runs[2] == 1);
}

static void steal_one(void)
{
    (void)steal();
}

static void steal_two(void)
{
    (void)steal();
    (void)steal();
}

/* ---- sleeping ------------------------------------------------------------------------------------------------------------------------- */

static void publish_and_wake(void)
{
    push_public(0);
    if (weft_atomic_load_seq_cst(&is_idle) != 0)
        model_signal(&token);
    while (weft_atomic_load_acquire(&slots[0].child) == NULL)
        weft_atomic_pause();
    join(0);
}

static void sleep_and_steal(void)
{
    (void)weft_atomic_exchange_seq_cst(&is_idle, 1);
    if (steal())
        return;
    model_wait(&token);
    MODEL_CHECK(steal());
}

/* ---- swapped -------------------------------------------------------------------------------------------------------------------------- */

/* Reads the slot before it has it: by then it is another job's. */
static void read_then_steal(void)
{
    uint64_t shares = weft_atomic_load_seq_cst(&stack.shares);
    uint32_t tail = (uint32_t)shares, split = (uint32_t)(shares >> 32);
    if (tail >= split)
        return;
    unsigned char index = slots[tail].argument[0];
    if (!weft_atomic_cas_acquire(&stack.shares, &shares, shares + 1))
        return;
    MODEL_CHECK(index == slots[tail].argument[0]);
    run_job(&stack, &slots[tail]);
    weft_atomic_store_release(&slots[tail].child, (void *)&token);
}

static void publish_then_fill(void)
{
    struct weft_job *job = stack.top++;
    publish(1);
    job->run = run_job;
    job->argument[0] = 0;
    join(0);
}

/* As job_stack_publish(), but its addition acquires and does not release. */
static void publish_unreleased(void)
{
    uint64_t shares = weft_atomic_load_relaxed(&stack.shares);
    (stack.top - 1)->child = NULL;
    while (!weft_atomic_cas_acquire(&stack.shares, &shares, shares + (UINT64_C(1) << 32)))
        continue;
    stack.split = stack.slots + (shares >> 32) + 1;
}

/* The first publication of a slot. */
static void fork_unreleased(void)
{
    push(0);
    publish_unreleased();
    join(0);
}

/* The next one, after taking back or popping, of which neither releases; the first did. */
static void fork_again_unreleased(void)
{
    push_public(0);
    join(0);
    push(1);
    publish_unreleased();
    join(1);
}

/* Says that it is done, and then runs the job. */
static void tell_then_run(void)
{
    struct weft_job *job = job_stack_steal(&stack);
    if (job == NULL)
        return;
    weft_atomic_store_release(&job->child, (void *)&token);
    job->run(&stack, job);
}

static void look_then_announce(void)
{
    if (steal())
        return;
    (void)weft_atomic_exchange_seq_cst(&is_idle, 1);
    model_wait(&token);
}

/* Pops a job that is public without taking it back. */
static void pop_carelessly(void)
{
    push_public(0);
    stack.top--;
    stack.top->run(&stack, stack.top);
    weft_atomic_store_release(&stack.shares, UINT64_C(0));
}

static const struct model models[] = {
    {"fork_steal", "A job runs once, at its owner's or its thief's, and the join has its result", setup, .threads = {fork_one, steal_one},
     .check = check_runs},
    {"fork_two", "Of two public jobs the owner takes back what thieves leave", setup, .threads = {fork_two, steal_two},
     .check = check_runs},
    {"fork_again", "A slot that is forked into again is never taken for the job before", setup, .threads = {fork_again, steal_two},
     .check = check_runs},
    {"fork_recycled", "A stack that was given to another fiber is as good for a thief that comes late", setup,
     .threads = {fork_recycled, steal_two}, .check = check_runs},
    {"publish_sleep", "A publication is seen by who announced that he sleeps, or the owner sees him", setup,
     .threads = {publish_and_wake, sleep_and_steal}, .check = check_runs},
    {"two_thieves", "Two thieves and the owner share out two jobs", setup, .threads = {fork_two, steal_one, steal_one},
     .check = check_runs},
    {"recycled_two_thieves", "As fork_recycled, with two", setup, .threads = {fork_recycled, steal_one, steal_one}, .check = check_runs,
     .bound = 2, .random_runs = 5000},
    {"fork_three", "Three jobs, published in another order than forked, and three thieves", setup,
     .threads = {fork_three, steal_two, steal_one, steal_one}, .check = check_runs, .bound = 2, .random_runs = 5000},
};

static const struct model broken[] = {
    {"read_then_steal_swapped", "A slot that is read before it was taken is another job's", setup, .threads = {fork_again, read_then_steal},
     .check = check_runs},
    {"publish_then_fill_swapped", "A slot that is filled after its publication is stolen empty", setup,
     .threads = {publish_then_fill, steal_one}, .check = check_runs},
    {"unreleased", "A publication that does not release leaves the slot to a thief who may not see it", setup,
     .threads = {fork_unreleased, steal_one}, .check = check_runs},
    {"again_unreleased", "Nor does the release of one before help, as taking back and popping do not release", setup,
     .threads = {fork_again_unreleased, steal_two}, .check = check_runs},
    {"tell_then_run_swapped", "A thief that tells before it has run the job is not waited for", setup, .threads = {fork_one, tell_then_run},
     .check = check_runs},
    {"look_then_announce_swapped", "Who looks and then announces that he sleeps is not woken", setup,
     .threads = {publish_and_wake, look_then_announce}},
    {"pop_carelessly", "A public job that is popped and not taken back runs twice", setup, .threads = {pop_carelessly, steal_one},
     .check = check_runs},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"lib/lockfree/job_stack.c"},
    };
    return model_main(&suite, argc, argv);
}
