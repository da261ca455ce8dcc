/*
 * One owner and three thieves on small stacks: each job is run exactly once, whoever runs it, and its slot says so to the joiner. The owner
 * pushes, publishes and joins at random. When it has joined all, the stack goes to another owner thread while thieves go on looking, as a
 * stack does that was borrowed by another fiber.
 */
#include "lib/lockfree/job_stack.h"

#include <sched.h>

#include "tests/lockfree/threads.h"
#include "weft/atomic.h"

enum { CAPACITY_MAX = 16, THIEVES = 3, OWNERS = 2, JOBS = 20000 };

#if defined(WEFT_ATOMIC_TSAN)
enum { ROUNDS = 1 };
#else
enum { ROUNDS = 3 };
#endif

/* What is in a slot: its number, and whether it is done. As in the real thing, `child` tells of the thief. */
struct load {
    uint64_t number;
    uint64_t result;
};

static struct weft_job slots[CAPACITY_MAX + 1];
static struct weft_job_stack stack;
static uint32_t runs[JOBS]; /* atomic */
static uint32_t turn;       /* atomic: whose stack it is */
static uint32_t is_over;    /* atomic */
static uint64_t next_number;
static uint64_t stolen_count; /* atomic */

static void run(struct weft_job *job)
{
    struct load *load = (struct load *)(void *)job->argument;
    (void)weft_atomic_add_relaxed(&runs[load->number], 1);
    load->result = load->number * 3 + 1;
}

static void *steal(void *arg)
{
    (void)arg;
    while (weft_atomic_load_relaxed(&is_over) == 0) {
        struct weft_job *job = job_stack_steal(&stack);
        if (job == NULL) {
            job_stack_ask(&stack);
            (void)sched_yield();
            continue;
        }
        run(job);
        (void)weft_atomic_add_relaxed(&stolen_count, 1);
        weft_atomic_store_release(&job->child, (void *)job); /* Pairs with the acquire in join(). */
    }
    return NULL;
}

static void fork_one(void)
{
    struct weft_job *job = stack.top;
    struct load *load = (struct load *)(void *)job->argument;
    *load = (struct load){next_number++, 0};
    stack.top++;
}

static void publish(uint32_t count)
{
    struct weft_job *job = stack.top - job_stack_private_count(&stack);
    for (uint32_t i = 0; i < count; i++)
        weft_atomic_store_relaxed(&job[i].child, (void *)NULL);
    job_stack_publish(&stack, count);
}

/* Sometimes thieves are given the time to come, so that there are some on a machine with few processors too. */
static void offer(uint32_t count, uint64_t *seed)
{
    publish(count);
    if (random_next(seed) % 8 == 0)
        (void)sched_yield();
}

static void join(void)
{
    struct weft_job *job = stack.top - 1;
    struct load *load = (struct load *)(void *)job->argument;
    if (job >= stack.split || job_stack_take_back(&stack)) {
        stack.top--;
        run(job);
    } else {
        while (weft_atomic_load_acquire(&job->child) == NULL) /* Pairs with the release in steal(). */
            (void)sched_yield();
        job_stack_pop_stolen(&stack);
    }
    CHECK_EQ(load->result, load->number * 3 + 1);
}

/* Some hundred random steps, then join all. */
static void own(uint64_t *seed)
{
    for (int step = 0; step < 300 && next_number < JOBS; step++) {
        uint32_t dice = random_next(seed) % 4;
        uint32_t private_count = job_stack_private_count(&stack);
        if (dice < 2 && stack.top < stack.end)
            fork_one();
        else if (dice == 2 && private_count > 0)
            offer(1 + random_next(seed) % private_count, seed);
        else if (stack.top > stack.slots)
            join();
    }
    while (stack.top > stack.slots)
        join();
    CHECK_EQ(weft_atomic_load_relaxed(&stack.shares), 0);
}

static void *take_turns(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;
    uint64_t seed = me + 1;
    bool goes_on = true;
    while (goes_on) {
        while (weft_atomic_load_acquire(&turn) != me) /* Pairs with the release below. */
            (void)sched_yield();
        own(&seed);
        goes_on = next_number < JOBS;
        weft_atomic_store_release(&turn, (me + 1) % OWNERS); /* Pairs with the acquire above. */
    }
    return NULL;
}

static void stress(uint32_t capacity)
{
    struct threads owners = {.count = 0}, thieves = {.count = 0};
    job_stack_init(&stack, slots, capacity);
    next_number = 0;
    weft_atomic_store_relaxed(&is_over, 0);
    for (int i = 0; i < JOBS; i++)
        runs[i] = 0;
    for (int i = 0; i < THIEVES; i++)
        threads_start(&thieves, steal, NULL);
    for (uintptr_t i = 0; i < OWNERS; i++)
        threads_start(&owners, take_turns, (void *)i);
    threads_join(&owners);
    weft_atomic_store_relaxed(&is_over, 1);
    threads_join(&thieves);
    for (int i = 0; i < JOBS; i++)
        CHECK_EQ(runs[i], 1);
}

static void stress_some(uint32_t capacity)
{
    for (int i = 0; i < ROUNDS; i++)
        stress(capacity);
    CHECK(weft_atomic_load_relaxed(&stolen_count) > 100);
}

Test(job_stack_stress, runs_each_job_once_with_room_for_2, .timeout = 60)
{
    stress_some(2);
}

Test(job_stack_stress, runs_each_job_once_with_room_for_4, .timeout = 60)
{
    stress_some(4);
}

Test(job_stack_stress, runs_each_job_once_with_room_for_16, .timeout = 60)
{
    stress_some(16);
}
