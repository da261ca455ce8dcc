/*
 * Closing against everything else that other threads may be at: running, closing, stopping, posting.
 */
#include <pthread.h>

#include "tests/loop/spy.h"
#include "tests/support/wait.h"

enum { ROUNDS = TEST_IS_SLOW ? 200 : 300 };

struct rivals {
    struct weft_loop *loop;
    uint32_t arrived;             /* atomic */
    int run_status, close_status; /* what each came to */
};

/* Both go on at about the same time. */
static void meet(struct rivals *rivals)
{
    /* Pairs with itself: who comes second has seen what the first one brought. */
    (void)weft_atomic_add_acq_rel(&rivals->arrived, 1);
    while (weft_atomic_load_acquire(&rivals->arrived) < 2) /* Pairs with the add above. */
        weft_atomic_pause();
}

static void *run(void *arg)
{
    struct rivals *rivals = arg;
    meet(rivals);
    rivals->run_status = weft_loop_run_forever(rivals->loop);
    return NULL;
}

static void *close_it(void *arg)
{
    struct rivals *rivals = arg;
    meet(rivals);
    rivals->close_status = weft_loop_close(rivals->loop);
    return NULL;
}

static void *close_it_too(void *arg)
{
    struct rivals *rivals = arg;
    meet(rivals);
    rivals->run_status = weft_loop_close(rivals->loop);
    return NULL;
}

static void race(struct rivals *rivals, void *(*first)(void *), void *(*second)(void *))
{
    pthread_t threads[2];
    rivals->loop = spy_loop();
    CHECK_EQ(weft_loop_stop(rivals->loop), 0);
    CHECK_EQ(pthread_create(&threads[0], NULL, first, rivals), 0);
    CHECK_EQ(pthread_create(&threads[1], NULL, second, rivals), 0);
    CHECK_EQ(pthread_join(threads[0], NULL), 0);
    CHECK_EQ(pthread_join(threads[1], NULL), 0);
}

Test(close, and_run_exclude_each_other, .timeout = 60)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct rivals rivals = {NULL, 0, 1, 1};
        race(&rivals, run, close_it);
        CHECK(rivals.run_status == 0 || rivals.run_status == WEFT_ECLOSED || rivals.run_status == WEFT_ERUNNING);
        CHECK(rivals.close_status == 0 || rivals.close_status == WEFT_ERUNNING);
        CHECK(rivals.run_status == 0 || rivals.close_status == 0);
        spy_drop(rivals.loop);
    }
}

Test(close, is_done_once_if_two_threads_ask, .timeout = 60)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct rivals rivals = {NULL, 0, 1, 1};
        race(&rivals, close_it, close_it_too);
        CHECK(rivals.close_status == 0 || rivals.run_status == 0);
        CHECK(weft_loop_is_closed(rivals.loop));
        spy_drop(rivals.loop);
    }
}

static uint32_t is_over; /* atomic */

static void *stop_again_and_again(void *arg)
{
    while (weft_atomic_load_relaxed(&is_over) == 0)
        CHECK_EQ(weft_loop_stop(arg), 0);
    return NULL;
}

Test(close, comes_after_stops_from_several_threads, .timeout = 60)
{
    struct weft_loop *loop = spy_loop();
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, stop_again_and_again, loop), 0);
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(weft_loop_run_forever(loop), 0);
    weft_atomic_store_relaxed(&is_over, 1);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    spy_drop(loop);
}

static uint32_t ran;    /* atomic */
static uint32_t posted; /* atomic */

static int count_run(void *arg)
{
    (void)arg;
    (void)weft_atomic_add_relaxed(&ran, 1);
    return 0;
}

static void *post_until_closed(void *arg)
{
    while (weft_loop_call_soon_threadsafe(arg, count_run, NULL, NULL, NULL) == 0)
        (void)weft_atomic_add_relaxed(&posted, 1);
    return NULL;
}

static bool have_run(void *arg)
{
    (void)arg;
    return weft_atomic_load_relaxed(&posted) > 100;
}

Test(close, lets_go_the_posts_that_come_beside_it, .timeout = 60)
{
    for (int i = 0; i < 20; i++) {
        struct weft_loop *loop = spy_loop();
        pthread_t thread;
        weft_atomic_store_relaxed(&posted, 0);
        weft_atomic_store_relaxed(&ran, 0);
        CHECK_EQ(pthread_create(&thread, NULL, post_until_closed, loop), 0);
        CHECK(wait_until(have_run, NULL, 10000));
        CHECK_EQ(spy_turns(loop, 10), 0);
        CHECK_EQ(weft_loop_close(loop), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK(weft_atomic_load_relaxed(&ran) <= weft_atomic_load_relaxed(&posted));
        weft_loop_unref(loop);
    }
}
