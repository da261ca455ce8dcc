/*
 * Handles: who holds which reference, who may cancel, and how many posts may wait.
 */
#include <pthread.h>
#include <string.h>

#include "tests/loop/spy.h"

static int call_count;

static int count_call(void *arg)
{
    (void)arg;
    call_count++;
    return 0;
}

Test(handle, outlives_its_loop, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_handle *soon, *later, *posted;
    CHECK_EQ(weft_loop_call_soon(loop, count_call, NULL, NULL, &soon), 0);
    CHECK_EQ(weft_loop_call_at(loop, 77, count_call, NULL, &later), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, &posted), 0);
    spy_drop(loop);
    CHECK_EQ(weft_handle_when(soon), 0);
    CHECK_EQ(weft_handle_when(later), 77);
    (void)weft_handle_cancel(soon);
    (void)weft_handle_cancel(later);
    CHECK(weft_handle_ref(posted) == posted);
    (void)weft_handle_cancel(posted);
    weft_handle_unref(posted);
    weft_handle_unref(posted);
    weft_handle_unref(later);
    weft_handle_unref(soon);
    weft_handle_unref(NULL);
    CHECK_EQ(call_count, 0);
}

Test(handle, may_be_let_go_at_any_time, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_handle *ran, *cancelled, *unasked;
    CHECK_EQ(weft_loop_call_soon(loop, count_call, NULL, NULL, &ran), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, count_call, NULL, &cancelled), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, count_call, NULL, &unasked), 0);
    weft_handle_unref(unasked); /* which does not cancel */
    CHECK(weft_handle_cancel(cancelled));
    CHECK(!weft_handle_cancel(cancelled));
    CHECK(weft_handle_cancelled(cancelled));
    CHECK_EQ(spy_turns(loop, 2), 0);
    CHECK_EQ(call_count, 2);
    CHECK(!weft_handle_cancel(ran));
    CHECK(!weft_handle_cancelled(ran));
    weft_handle_unref(ran);
    weft_handle_unref(cancelled);
    spy_drop(loop);
}

struct self_cancel {
    struct weft_handle *handle;
    bool was_prevented;
};

static int cancel_self(void *arg)
{
    struct self_cancel *self = arg;
    self->was_prevented = weft_handle_cancel(self->handle);
    weft_handle_unref(self->handle);
    return count_call(NULL);
}

Test(handle, cannot_be_cancelled_by_its_own_call_which_may_drop_the_last_reference, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct self_cancel selves[3] = {{NULL, true}, {NULL, true}, {NULL, true}};
    CHECK_EQ(weft_loop_call_soon(loop, cancel_self, &selves[0], NULL, &selves[0].handle), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, cancel_self, &selves[1], &selves[1].handle), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, cancel_self, &selves[2], NULL, &selves[2].handle), 0);
    CHECK_EQ(spy_turns(loop, 2), 0);
    CHECK_EQ(call_count, 3);
    for (int i = 0; i < 3; i++)
        CHECK(!selves[i].was_prevented);
    spy_drop(loop);
}

struct foreign {
    struct weft_handle *bound, *timed, *threadsafe;
};

static void *cancel_from_elsewhere(void *arg)
{
    struct foreign *foreign = arg;
    CHECK(!weft_handle_cancel(foreign->bound));
    CHECK(!weft_handle_cancel(foreign->timed));
    CHECK(weft_handle_cancel(foreign->threadsafe));
    return NULL;
}

Test(handle, of_a_loop_that_runs_elsewhere_is_cancelled_only_if_threadsafe, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct foreign foreign;
    pthread_t thread;
    CHECK_EQ(weft_loop_call_soon(loop, count_call, NULL, NULL, &foreign.bound), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, count_call, NULL, &foreign.timed), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, &foreign.threadsafe), 0);
    CHECK_EQ(loop_enter(loop), 0);
    CHECK_EQ(pthread_create(&thread, NULL, cancel_from_elsewhere, &foreign), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(loop_turn(loop, false), 0);
    loop_leave(loop);
    CHECK_EQ(call_count, 2);
    weft_handle_unref(foreign.bound);
    weft_handle_unref(foreign.timed);
    weft_handle_unref(foreign.threadsafe);
    spy_drop(loop);
}

Test(handle, posts_are_bounded_until_the_loop_has_passed_them, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_handle *cancelled, *untouched = NULL;
    CHECK_EQ(weft_loop_set_posts_max(loop, 0), -EINVAL);
    CHECK_EQ(weft_loop_set_posts_max(NULL, 1), -EINVAL);
    CHECK_EQ(weft_loop_set_posts_max(loop, 2), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, &cancelled), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, NULL), 0);
    CHECK(weft_handle_cancel(cancelled));
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, &untouched), WEFT_EFULL);
    CHECK(untouched == NULL);
    CHECK_EQ(weft_loop_call_soon(loop, count_call, NULL, NULL, NULL), 0); /* the loop's own are not bounded */
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_EQ(call_count, 2);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, NULL), WEFT_EFULL);
    weft_handle_unref(cancelled);
    spy_drop(loop);
    CHECK_EQ(call_count, 2);
}

/* Post until it is refused. Returns how many posts there was room for. */
static int fill(struct weft_loop *loop)
{
    int count = 0, status;
    while ((status = weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, NULL)) == 0)
        count++;
    CHECK_EQ(status, WEFT_EFULL);
    return count;
}

Test(handle, a_bound_of_many_posts_is_kept_nearly, .timeout = 10)
{
    enum { MANY = 1 << 15 };
    struct weft_loop *loop;
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
    CHECK_EQ(weft_loop_set_posts_max(loop, MANY), 0);
    for (int round = 0; round < 3; round++, call_count = 0) {
        int count = fill(loop);
        CHECK(count > MANY / 4 * 3);
        CHECK(count < MANY / 4 * 5);
        CHECK_EQ(spy_turns(loop, 2), 0);
        CHECK_EQ(call_count, count);
    }
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

Test(handle, and_in_virtual_time_exactly, .timeout = 10)
{
    enum { MANY = 1 << 14 };
    struct weft_loop *loop = spy_sim_loop();
    CHECK_EQ(weft_loop_set_posts_max(loop, MANY), 0);
    CHECK_EQ(fill(loop), MANY);
    spy_drop(loop);
    CHECK_EQ(call_count, 0);
}

static int count_work(struct weft_work *work)
{
    (void)work;
    CHECK_EQ(call_count++, 1); /* between the calls */
    return 0;
}

Test(handle, is_not_needed_for_a_work_of_ones_own, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_work work = {NULL, count_work};
    CHECK_EQ(weft_loop_set_posts_max(loop, 2), 0);
    for (int round = 0; round < 3; round++, call_count = 0) {
        CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, NULL), 0);
        oom_start(1);
        CHECK_EQ(weft_loop_post(loop, &work), 0);
        CHECK(!oom_stop());
        CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, NULL), 0); /* the work is not counted */
        CHECK_EQ(spy_turns(loop, 1), 0);
        CHECK_EQ(call_count, 3);
    }
    spy_drop(loop);
}

static struct weft_loop *loop_that_closes;

static int let_go(struct weft_work *work)
{
    (void)work;
    CHECK(weft_loop_is_closed(loop_that_closes));
    call_count++;
    return 0;
}

Test(handle, nor_is_a_posted_work_lost_when_its_loop_closes, .timeout = 5)
{
    struct weft_work work = {NULL, let_go};
    loop_that_closes = spy_sim_loop();
    CHECK_EQ(weft_loop_post(loop_that_closes, &work), 0);
    CHECK_EQ(weft_loop_close(loop_that_closes), 0);
    CHECK_EQ(call_count, 1);
    CHECK_EQ(weft_loop_post(loop_that_closes, &work), WEFT_ECLOSED);
    weft_loop_unref(loop_that_closes);
    CHECK_EQ(call_count, 1);
}

static struct weft_handle *reported;

static int keep_handle(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    (void)loop, (void)arg;
    reported = weft_handle_ref(exception->handle);
    return 0;
}

static int fail_at_once(void *arg)
{
    (void)arg;
    return -EIO;
}

Test(handle, that_is_kept_from_a_report_outlives_its_loop_too, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    CHECK_EQ(weft_loop_set_exception_handler(loop, keep_handle, NULL), 0);
    CHECK_EQ(weft_loop_call_soon(loop, fail_at_once, NULL, NULL, NULL), 0);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
    CHECK(reported != NULL);
    CHECK(!weft_handle_cancel(reported));
    weft_handle_unref(reported);
}

Test(handle, is_not_made_for_nothing_or_nobody, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    struct weft_handle *untouched = NULL;
    CHECK_EQ(weft_loop_call_soon(NULL, count_call, NULL, NULL, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_call_soon(loop, NULL, NULL, NULL, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_call_soon_threadsafe(NULL, count_call, NULL, NULL, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, NULL, NULL, NULL, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_call_later(NULL, 0, count_call, NULL, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_call_later(loop, 0, NULL, NULL, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_call_at(NULL, 0, count_call, NULL, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_call_at(loop, 0, NULL, NULL, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK_EQ(weft_loop_call_soon(loop, count_call, NULL, NULL, &untouched), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, &untouched), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_call_later(loop, 0, count_call, NULL, &untouched), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_call_at(loop, 0, count_call, NULL, &untouched), WEFT_ECLOSED);
    CHECK(untouched == NULL);
    weft_loop_unref(loop);
}

enum way { SOON, THREADSAFE, LATER, AT, WAYS };

static int schedule(struct weft_loop *loop, int way, struct weft_handle **handle_out)
{
    switch (way) {
    case SOON:
        return weft_loop_call_soon(loop, count_call, NULL, NULL, handle_out);
    case THREADSAFE:
        return weft_loop_call_soon_threadsafe(loop, count_call, NULL, NULL, handle_out);
    case LATER:
        return weft_loop_call_later(loop, 0, count_call, NULL, handle_out);
    default:
        return weft_loop_call_at(loop, 0, count_call, NULL, handle_out);
    }
}

Test(handle, leaves_nothing_when_there_is_no_memory, .timeout = 5)
{
    struct weft_loop *loop = spy_sim_loop();
    CHECK_EQ(weft_loop_set_posts_max(loop, 1), 0);
    for (int way = SOON; way < WAYS; way++) {
        struct weft_handle *handle = NULL;
        int64_t before = oom_live();
        int refused = 0;
        for (uint64_t nth = 1;; nth++) {
            oom_start(nth);
            int status = schedule(loop, way, &handle);
            if (!oom_stop())
                break;
            CHECK_EQ(status, -ENOMEM);
            CHECK(handle == NULL);
            CHECK_EQ(oom_live(), before);
            refused++;
        }
        CHECK(refused > 0);
        CHECK(weft_handle_cancel(handle));
        weft_handle_unref(handle);
        CHECK_EQ(spy_turns(loop, 1), 0);
    }
    CHECK_EQ(call_count, 0);
    spy_drop(loop);
}

enum { RACES = 2000 };

struct race {
    struct weft_handle *handle;
    uint32_t is_ready; /* atomic */
    uint32_t ran;
    bool was_prevented;
};

static int race_ran(void *arg)
{
    struct race *race = arg;
    race->ran++;
    return 0;
}

static void *race_cancel(void *arg)
{
    struct race *races = arg;
    for (int i = 0; i < RACES; i++) {
        /* Pairs with the release in the test's body. */
        while (weft_atomic_load_acquire(&races[i].is_ready) == 0)
            weft_atomic_pause();
        races[i].was_prevented = weft_handle_cancel(races[i].handle);
        weft_handle_unref(races[i].handle);
    }
    return NULL;
}

Test(handle, of_a_post_is_either_cancelled_or_run, .timeout = 30)
{
    static struct race races[RACES];
    struct weft_loop *loop = spy_loop();
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, race_cancel, races), 0);
    CHECK_EQ(loop_enter(loop), 0);
    for (int i = 0; i < RACES; i++) {
        CHECK_EQ(weft_loop_call_soon_threadsafe(loop, race_ran, &races[i], NULL, &races[i].handle), 0);
        /* Pairs with the acquire in race_cancel(). */
        weft_atomic_store_release(&races[i].is_ready, 1);
        CHECK_EQ(loop_turn(loop, false), 0);
    }
    loop_leave(loop);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < RACES; i++)
        CHECK_EQ(races[i].ran, races[i].was_prevented ? 0 : 1);
    spy_drop(loop);
}
