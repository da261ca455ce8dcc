/*
 * Models of forks and joins as programs write them: the macros of weft/job.h on job stacks of one slot or two, and a thief that may ask.
 *
 * The slow paths stand here as lib/task/job.c has them, without fibers: a join spins until the thief has put its child into the slot.
 */
#include "lib/lockfree/job_stack.h"
#include "tests/model/checker.h"
#include "weft/job.h"

enum { CAPACITY_MAX = 4 };

/* A stack with its slots. */
struct room {
    struct weft_job_stack stack;
    struct weft_job slots[CAPACITY_MAX];
};

static struct room owner, thieves[2];
static uint32_t leaf_count; /* atomic, relaxed: how many leaves have run */
static uint32_t is_over;    /* atomic: the owner has its result */
static unsigned reason;     /* plain: why somebody asks */
static struct {
    unsigned char bytes[WEFT_JOB_ARGUMENT_BYTES];
} results[8]; /* of what ran at its fork */
static struct model_token token;

static void room_init(struct room *room, uint32_t capacity)
{
    job_stack_init(&room->stack, room->slots, capacity);
}

/* ---- what the macros call --------------------------------------------------------------------------------------------------------------- */

int weft_job_stack_here(uint32_t layout, struct weft_job_stack **stack_out)
{
    MODEL_CHECK(layout == WEFT_JOB_LAYOUT);
    *stack_out = &owner.stack;
    return 0;
}

/* Somebody has asked: publish all there is. */
static void attend(struct weft_job_stack *stack)
{
    uint32_t count = job_stack_private_count(stack);
    struct weft_job *first = stack->slots + job_stack_count(stack) - count;
    MODEL_CHECK(job_stack_hear(stack) && reason == 1);
    for (uint32_t i = 0; i < count; i++)
        first[i].child = NULL;
    if (count > 0)
        job_stack_publish(stack, count);
    model_signal(&token);
}

void weft_job_fork(struct weft_job_stack *stack, weft_job_run_fn *run, const void *argument, size_t argument_bytes)
{
    bool is_full = stack->top >= stack->end;
    struct weft_job here, *job = is_full ? &here : stack->top;
    job->run = run;
    memcpy(job->argument, argument, argument_bytes);
    if (!is_full)
        stack->top++;
    if (weft_atomic_load_relaxed(&stack->limit) == NULL)
        attend(stack);
    if (is_full) {
        job->run(stack, job);
        memcpy(&results[job_stack_inline_count(stack)], job->argument, sizeof(results[0]));
        job_stack_add_inline(stack);
    }
}

const void *weft_job_join(struct weft_job_stack *stack)
{
    if (job_stack_join_inline(stack))
        return &results[job_stack_inline_count(stack)];
    struct weft_job *job = stack->top - 1;
    if (job_stack_private_count(stack) > 0 || job_stack_take_back(stack))
        return NULL;
    while (weft_atomic_load_acquire(&job->child) == NULL)
        weft_atomic_pause();
    job_stack_pop_stolen(stack);
    return job->argument;
}

/* ---- the program ----------------------------------------------------------------------------------------------------------------------- */

/* Counts the leaves of a tree. */
WEFT_JOB(unsigned, leaves, unsigned, depth)
{
    if (depth == 0) {
        (void)weft_atomic_add_relaxed(&leaf_count, 1);
        return 1;
    }
    WEFT_FORK(leaves, depth - 1);
    unsigned left = WEFT_CALL(leaves, depth - 1);
    return left + WEFT_JOIN(leaves);
}

/* Two forks before the first join. */
WEFT_JOB(unsigned, twins, unsigned, unused)
{
    (void)unused;
    WEFT_FORK(leaves, 0);
    WEFT_FORK(leaves, 1);
    unsigned left = WEFT_JOIN(leaves);
    return left + WEFT_JOIN(leaves);
}

static void ask(void)
{
    job_stack_ask(&owner.stack);
}

static void setup_unasked(void)
{
    room_init(&owner, 2);
    room_init(&thieves[0], 2);
    room_init(&thieves[1], 2);
}

static void setup(void)
{
    setup_unasked();
    reason = 1;
    ask();
}

static void setup_narrow(void)
{
    setup();
    room_init(&owner, 1);
    ask();
}

static void run_tree(void)
{
    unsigned count;
    MODEL_CHECK(leaves_run(1, &count) == 0 && count == 2);
    MODEL_CHECK(job_stack_count(&owner.stack) == 0);
    weft_atomic_store_release(&is_over, 1);
}

static void run_deep_tree(void)
{
    unsigned count;
    MODEL_CHECK(leaves_run(2, &count) == 0 && count == 4);
    MODEL_CHECK(job_stack_count(&owner.stack) == 0 && job_stack_inline_count(&owner.stack) == 0);
}

static void run_twins(void)
{
    unsigned count;
    MODEL_CHECK(twins_run(0, &count) == 0 && count == 3);
    MODEL_CHECK(job_stack_count(&owner.stack) == 0 && job_stack_inline_count(&owner.stack) == 0);
}

static void steal_from(struct weft_job_stack *victim, struct room *thief)
{
    struct weft_job *job = job_stack_steal(victim);
    if (job == NULL)
        return;
    job->run(&thief->stack, job);
    weft_atomic_store_release(&job->child, (void *)thief);
}

static void steal_one(void)
{
    steal_from(&owner.stack, &thieves[0]);
}

static void steal_and_ask(void)
{
    steal_from(&owner.stack, &thieves[1]);
    ask();
    steal_from(&owner.stack, &thieves[1]);
}

/* Sets bounds until somebody asks, which they must not undo. */
static void run_tree_when_asked(void)
{
    job_stack_bound(&owner.stack, 0, 2);
    while (weft_atomic_load_relaxed(&owner.stack.limit) != NULL) {
        job_stack_bound(&owner.stack, 0, 1);
        weft_atomic_pause();
    }
    run_tree();
}

static void give_reason_and_ask(void)
{
    reason = 1;
    ask();
}

/* Asks, and sleeps until that was heard. */
static void ask_and_wait(void)
{
    give_reason_and_ask();
    model_wait(&token);
    steal_one();
}

static void check(void)
{
    MODEL_CHECK(job_stack_public_count(&owner.stack) == 0 && job_stack_private_count(&owner.stack) == 0);
}

static void check_two_leaves(void)
{
    check();
    MODEL_CHECK(leaf_count == 2 && is_over == 1);
}

static void check_three_leaves(void)
{
    check();
    MODEL_CHECK(leaf_count == 3);
}

static void check_four_leaves(void)
{
    check();
    MODEL_CHECK(leaf_count == 4);
}

/* ---- swapped ---------------------------------------------------------------------------------------------------------------------------- */

static void ask_then_give_reason(void)
{
    ask();
    reason = 1;
}

/* Tells that the job is done, and runs it then. */
static void tell_then_run(void)
{
    struct weft_job *job = job_stack_steal(&owner.stack);
    if (job == NULL)
        return;
    weft_atomic_store_release(&job->child, (void *)&thieves[0]);
    job->run(&thieves[0].stack, job);
}

static const struct model models[] = {
    {"ask", "A question reaches the owner with its reason, whatever bounds he sets", setup_unasked,
     .threads = {run_tree_when_asked, give_reason_and_ask}, .check = check_two_leaves},
    {"ask_and_wait", "Who asks and then sleeps has been heard", setup_unasked, .threads = {run_tree_when_asked, ask_and_wait},
     .check = check_two_leaves},
    {"tree", "A fork that may be stolen has one result, at the join", setup, .threads = {run_tree, steal_one}, .check = check_two_leaves},
    {"twins", "Two forks that are joined the other way round", setup, .threads = {run_twins, steal_one}, .check = check_three_leaves},
    {"full", "Forks that find the stack full run at once, and their joins know it", setup_narrow, .threads = {run_deep_tree, steal_one},
     .check = check_four_leaves},
    {"asked", "Forks go to thieves as these ask, and the tree has all its leaves", setup,
     .threads = {run_deep_tree, steal_one, steal_and_ask}, .check = check_four_leaves, .bound = 3, .random_runs = 5000},
};

static const struct model broken[] = {
    {"ask_then_give_reason_swapped", "A question before its reason is heard without", setup_unasked,
     .threads = {run_tree_when_asked, ask_then_give_reason}, .check = check_two_leaves},
    {"tell_then_run_swapped", "A thief that tells before it has run the job leaves the join without its result", setup,
     .threads = {run_tree, tell_then_run}, .check = check_two_leaves},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"include/weft/job.h", "lib/lockfree/job_stack.h"},
    };
    return model_main(&suite, argc, argv);
}
