/*
 * The job stack in one thread: what is private, public and stolen, a full stack, and what a thief finds after the stack has a new owner.
 */
#include "lib/lockfree/job_stack.h"

#include "tests/support/test.h"

enum { CAPACITY = 8 };

static struct weft_job slots[CAPACITY];
static struct weft_job_stack stack;

static void begin(void)
{
    job_stack_init(&stack, slots, CAPACITY);
}

static void push(int count)
{
    while (count-- > 0)
        stack.top++;
}

Test(job_stack, begins_empty, .timeout = 5)
{
    begin();
    CHECK_EQ(job_stack_count(&stack), 0);
    CHECK_EQ(job_stack_public_count(&stack), 0);
    CHECK(job_stack_steal(&stack) == NULL);
    CHECK(stack.limit == stack.end);
    CHECK_EQ(stack.layout, WEFT_JOB_LAYOUT);
}

Test(job_stack, keeps_private_jobs_from_thieves, .timeout = 5)
{
    begin();
    push(3);
    CHECK_EQ(job_stack_private_count(&stack), 3);
    CHECK(job_stack_steal(&stack) == NULL);
}

Test(job_stack, gives_the_oldest_first, .timeout = 5)
{
    begin();
    push(4);
    job_stack_publish(&stack, 2);
    CHECK_EQ(job_stack_public_count(&stack), 2);
    CHECK_EQ(job_stack_private_count(&stack), 2);
    CHECK(stack.split == slots + 2);
    CHECK(job_stack_steal(&stack) == slots);
    CHECK(job_stack_steal(&stack) == slots + 1);
    CHECK(job_stack_steal(&stack) == NULL);
}

Test(job_stack, takes_back_the_newest_and_half_of_the_others, .timeout = 5)
{
    begin();
    push(8);
    job_stack_publish(&stack, 8);
    CHECK(job_stack_take_back(&stack));
    CHECK(stack.split == slots + 3);
    CHECK_EQ(job_stack_public_count(&stack), 3);
    CHECK_EQ(job_stack_private_count(&stack), 5);
}

Test(job_stack, takes_back_the_last, .timeout = 5)
{
    begin();
    push(2);
    job_stack_publish(&stack, 2);
    CHECK(job_stack_steal(&stack) == slots);
    CHECK(job_stack_take_back(&stack));
    CHECK_EQ(job_stack_public_count(&stack), 0);
    CHECK(stack.split == slots + 1);
    CHECK(job_stack_steal(&stack) == NULL);
}

Test(job_stack, takes_back_nothing_that_is_stolen, .timeout = 5)
{
    begin();
    push(2);
    job_stack_publish(&stack, 2);
    CHECK(job_stack_steal(&stack) == slots);
    CHECK(job_stack_steal(&stack) == slots + 1);
    CHECK(!job_stack_take_back(&stack));
    job_stack_pop_stolen(&stack);
    CHECK_EQ(job_stack_count(&stack), 1);
    CHECK(!job_stack_take_back(&stack));
    job_stack_pop_stolen(&stack);
    CHECK_EQ(job_stack_count(&stack), 0);
    CHECK(stack.split == slots);
}

Test(job_stack, publishes_again_what_was_joined, .timeout = 5)
{
    begin();
    push(1);
    job_stack_publish(&stack, 1);
    CHECK(job_stack_steal(&stack) == slots);
    job_stack_pop_stolen(&stack);
    push(1);
    CHECK(job_stack_steal(&stack) == NULL); /* the slot's new job is private */
    job_stack_publish(&stack, 1);
    CHECK(job_stack_steal(&stack) == slots);
}

Test(job_stack, hears_that_somebody_asks, .timeout = 5)
{
    begin();
    CHECK(!job_stack_hear(&stack));
    job_stack_ask(&stack);
    CHECK(stack.limit == NULL);
    CHECK(job_stack_hear(&stack));
    CHECK(!job_stack_hear(&stack));
    CHECK(stack.limit == stack.end);
}

Test(job_stack, bounds_what_is_fast_from_both_sides, .timeout = 5)
{
    begin();
    push(4);
    job_stack_publish(&stack, 1);
    job_stack_bound(&stack, 3, 5);
    CHECK(stack.split == slots + 3);
    CHECK(stack.limit == slots + 5);
    CHECK_EQ(job_stack_private_count(&stack), 3);
    job_stack_bound(&stack, 0, CAPACITY + 1);
    CHECK(stack.split == slots + 1);
    CHECK(stack.limit == stack.end);
}

Test(job_stack, sets_no_bound_over_a_question, .timeout = 5)
{
    begin();
    push(2);
    job_stack_ask(&stack);
    job_stack_bound(&stack, 1, 3);
    CHECK(stack.limit == NULL);
    CHECK(stack.split == slots + 1);
    job_stack_publish(&stack, 2);
    CHECK(stack.split == slots + 2);
}

Test(job_stack, sends_each_join_to_the_slow_path_while_forks_have_run_inline, .timeout = 5)
{
    begin();
    push(CAPACITY);
    job_stack_add_inline(&stack);
    job_stack_add_inline(&stack);
    CHECK(stack.top - 1 < stack.split);
    job_stack_publish(&stack, 2); /* as a fiber that suspends does */
    CHECK(stack.top - 1 < stack.split);
    CHECK_EQ(job_stack_inline_count(&stack), 2);
    CHECK_EQ(job_stack_count(&stack), CAPACITY);
    CHECK(job_stack_join_inline(&stack));
    CHECK(stack.top - 1 < stack.split);
    CHECK(job_stack_join_inline(&stack));
    CHECK(stack.split == slots + 2);
    CHECK(!job_stack_join_inline(&stack));
}
