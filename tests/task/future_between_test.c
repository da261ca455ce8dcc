/*
 * What others do between two steps of one call on a future: complete it, or hold its lock.
 */
#include "lib/task/future.h"

#include "tests/support/intruder.h"
#include "tests/task/scene.h"
#include "weft/atomic.h"

#if INTRUDER_WORKS

static struct weft_future *shared;
static int first_value, second_value;

static struct weft_loop *begin(void)
{
    struct weft_loop *loop = scene_sim_loop();
    shared = intruder_map(sizeof(*shared));
    CHECK_EQ(weft_future_init(shared, loop, NULL), 0);
    return loop;
}

static void end(struct weft_loop *loop)
{
    weft_future_fini(shared);
    intruder_unmap(shared, sizeof(*shared));
    scene_drop(loop);
}

static void complete_first(void)
{
    CHECK_EQ(weft_future_set_result(shared, &first_value), 0);
}

Test(future_between, a_completion_that_comes_second_is_refused, .timeout = 5)
{
    struct weft_loop *loop = begin();
    void *value;
    intruder_watch(&shared->state, 1, complete_first);
    int status = weft_future_set_result(shared, &second_value);
    CHECK_EQ(intruder_leave(), 1);
    CHECK_EQ(status, WEFT_EINVALIDSTATE);
    CHECK_EQ(weft_future_result(shared, &value), 0);
    CHECK(value == &first_value);
    end(loop);
}

/* Another takes the lock between our look at it and our try, and lets it go once we have seen that it has it. */
static void hold_for_a_while(void)
{
    static int touches;
    touches++;
    CHECK_EQ(future_get_state(shared), FUTURE_PENDING);
    if (touches == 1)
        (void)weft_atomic_or_relaxed(&shared->state, 1);
    else if (touches == 3)
        (void)weft_atomic_and_relaxed(&shared->state, ~(uintptr_t)1);
}

Test(future_between, a_completion_waits_for_who_holds_the_lock, .timeout = 5)
{
    struct weft_loop *loop = begin();
    void *value;
    intruder_watch(&shared->state, 3, hold_for_a_while);
    int status = weft_future_set_result(shared, &second_value);
    CHECK_EQ(intruder_leave(), 3);
    CHECK_EQ(status, 0);
    CHECK_EQ(weft_future_result(shared, &value), 0);
    CHECK(value == &second_value);
    end(loop);
}

#endif
