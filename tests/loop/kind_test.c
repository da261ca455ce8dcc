/*
 * Kinds: what making a loop leaves behind when it fails midway, and what a kind's end may still do.
 */
#include <string.h>

#include "tests/loop/spy.h"
#include "weft/poller.h"

#define HOUR_NS INT64_C(3600000000000)

static char order[64];

static int note(void *arg)
{
    strcat(order, arg);
    return 0;
}

/* ---- an init that schedules ------------------------------------------------------------------------------------------------------ */

static struct weft_handle *kept;

static int scheduling_init(struct weft_loop *loop, void *user, const void *options)
{
    (void)user, (void)options;
    strcat(order, "a");
    CHECK_EQ(weft_loop_call_soon(loop, note, "never", NULL, NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, 0, note, "never", NULL), 0);
    CHECK_EQ(weft_loop_call_later(loop, HOUR_NS, note, "never", NULL), 0);
    return weft_loop_call_soon_threadsafe(loop, note, "never", NULL, &kept);
}

static void scheduling_fini(struct weft_loop *loop, void *user)
{
    (void)loop, (void)user;
    strcat(order, "A");
}

static int failing_init(struct weft_loop *loop, void *user, const void *options)
{
    (void)loop, (void)user, (void)options;
    strcat(order, "b");
    return -EACCES;
}

static void never_fini(struct weft_loop *loop, void *user)
{
    (void)loop, (void)user;
    strcat(order, "B");
}

static const struct weft_loop_kind scheduling = {
    .size = sizeof(scheduling), .name = "scheduling", .init = scheduling_init, .fini = scheduling_fini};
static const struct weft_loop_kind failing = {
    .size = sizeof(failing), .name = "failing", .base = &scheduling, .init = failing_init, .fini = never_fini};

Test(kind, that_fails_lets_go_what_its_bases_have_scheduled, .timeout = 5)
{
    struct weft_loop *untouched = NULL;
    spy_count_memory();
    CHECK_EQ(weft_loop_new(&failing, 0, &untouched), -EACCES);
    CHECK(untouched == NULL);
    CHECK_STR(order, "abA");
    (void)weft_handle_cancel(kept); /* a handle outlives its loop, this one too */
    weft_handle_unref(kept);
}

Test(kind, may_schedule_while_its_loop_is_made, .timeout = 5)
{
    struct weft_loop *loop;
    spy_count_memory();
    CHECK_EQ(weft_loop_new(&scheduling, 0, &loop), 0);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_STR(order, "anevernevernever");
    weft_handle_unref(kept);
    spy_drop(loop);
}

/* ---- a fini that wakes ------------------------------------------------------------------------------------------------------------- */

static int last_run(struct weft_work *work)
{
    (void)work;
    strcat(order, "w");
    return 0;
}

static struct weft_work last_work = {NULL, last_run};

static void waking_fini(struct weft_loop *loop, void *user)
{
    (void)user;
    strcat(order, "f");
    work_ready(&loop->worker, &last_work);
    CHECK_EQ(weft_loop_call_soon(loop, note, "never", NULL, NULL), WEFT_ECLOSED);
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, note, "never", NULL, NULL), WEFT_ECLOSED);
}

static const struct weft_loop_kind waking = {.size = sizeof(waking), .name = "waking", .fini = waking_fini};

Test(kind, wakes_at_its_end_what_is_then_let_go, .timeout = 5)
{
    struct weft_loop *loop;
    spy_count_memory();
    CHECK_EQ(weft_loop_new(&waking, 0, &loop), 0);
    spy_drop(loop);
    CHECK_STR(order, "fw");
}

/* ---- tables ------------------------------------------------------------------------------------------------------------------------ */

Test(kind, with_one_slot_inherits_the_others, .timeout = 5)
{
    struct weft_loop *loop = spy_loop();
    CHECK_EQ(loop->poller_ops->size, sizeof(*loop->poller_ops));
    CHECK_EQ(loop->poller_ops->state_bytes, weft_poller_epoll_ops()->state_bytes);
    CHECK(loop->poller_ops->submit == weft_poller_epoll_ops()->submit);
    CHECK(loop->poller_ops->wait != weft_poller_epoll_ops()->wait);
    CHECK_EQ(spy_turns(loop, 1), 0);
    CHECK_EQ(spy.wait_count, 1);
    spy_drop(loop);
}

static int submit_all(struct weft_poller *poller, struct weft_operation *operation)
{
    return weft_poller_epoll_ops()->submit(poller, operation);
}

Test(kind, that_looks_at_operations_sees_all_that_is_sent, .timeout = 5)
{
    static const struct weft_poller_ops ops = {.size = sizeof(ops), .submit = submit_all};
    static const struct weft_loop_kind kind = {.size = sizeof(kind), .name = "looking", .poller = &ops};
    struct weft_loop *loop = spy_loop();
    CHECK(loop->poller_ops->send == weft_poller_epoll_ops()->send);
    spy_drop(loop);
    CHECK_EQ(weft_loop_new(&kind, 0, &loop), 0);
    CHECK(loop->poller_ops->submit == submit_all);
    CHECK(loop->poller_ops->send == NULL);
    spy_drop(loop);
}

Test(kind, whose_poller_has_no_room_for_its_base_is_refused, .timeout = 5)
{
    static const struct weft_poller_ops ops = {.size = sizeof(ops), .state_bytes = sizeof(struct weft_poller) - 8};
    static const struct weft_loop_kind kind = {.size = sizeof(kind), .name = "tight", .poller = &ops};
    struct weft_loop *untouched = NULL;
    spy_count_memory();
    CHECK_EQ(weft_loop_new(&kind, 0, &untouched), WEFT_EPROTOCOL);
    CHECK(untouched == NULL);
}

Test(kind, leaves_nothing_when_there_is_no_memory, .timeout = 5)
{
    spy_count_memory();
    for (uint64_t nth = 1;; nth++) {
        struct weft_loop *loop = NULL;
        oom_start(nth);
        int status = weft_loop_new(&waking, 100, &loop);
        if (!oom_stop()) {
            CHECK_EQ(status, 0);
            spy_drop(loop);
            break;
        }
        CHECK_EQ(status, -ENOMEM);
        CHECK(loop == NULL);
        CHECK_EQ(oom_live(), 0);
    }
}

Test(kind, gets_absurd_options_refused, .timeout = 5)
{
    struct weft_loop *untouched = NULL;
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    spy_count_memory();
    CHECK_EQ(weft_loop_new(NULL, SIZE_MAX, &untouched), -EINVAL);
    CHECK_EQ(weft_loop_new(NULL, 0, NULL), -EINVAL);
    options.size = sizeof(options.size);
    CHECK_EQ(weft_loop_new_options(NULL, &options, &untouched), -EINVAL);
    CHECK(untouched == NULL);
}
