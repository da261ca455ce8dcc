/*
 * Gather, sentence by sentence (GATH-1), and across loops that run in threads of their own.
 */
#include "weft/gather.h"

#include "tests/support/oom.h"
#include "tests/support/wait.h"
#include "tests/task/scene.h"

enum { CHILDREN = 3 };

static int values[CHILDREN];

/* A gathering of three plain futures. */
struct crowd {
    struct weft_loop *loop;
    struct weft_future *children[CHILDREN];
    struct weft_future *all;
};

static struct crowd crowd_of(struct weft_loop *loop, uint32_t flags)
{
    struct crowd crowd = {.loop = loop};
    for (int i = 0; i < CHILDREN; i++)
        crowd.children[i] = scene_future(loop);
    CHECK_EQ(weft_gather(loop, crowd.children, CHILDREN, flags, &crowd.all), 0);
    return crowd;
}

/* Children are referenced until they are done, so those that are not done yet end here. */
static void crowd_end(struct crowd *crowd)
{
    for (int i = 0; i < CHILDREN; i++) {
        (void)weft_future_cancel(crowd->children[i], NULL);
        weft_future_unref(crowd->children[i]);
    }
    scene_turn(crowd->loop);
    weft_future_unref(crowd->all);
    scene_drop(crowd->loop);
    CHECK_EQ(scene_reports(), 0);
}

static const struct weft_gather_item *items_of(struct weft_future *all)
{
    void *items = NULL;
    CHECK_EQ(weft_future_result(all, &items), 0);
    return items;
}

static void succeed(struct crowd *crowd, int i)
{
    CHECK_EQ(weft_future_set_result(crowd->children[i], &values[i]), 0);
    scene_turn(crowd->loop);
}

static void fail(struct crowd *crowd, int i, int status)
{
    CHECK_EQ(weft_future_set_exception(crowd->children[i], status), 0);
    scene_turn(crowd->loop);
}

/* ---- results ---------------------------------------------------------------------------------------------------------------------- */

Test(gather, gives_results_in_the_order_of_the_arguments, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), 0);
    succeed(&crowd, 2);
    succeed(&crowd, 0);
    CHECK(!weft_future_done(crowd.all));
    succeed(&crowd, 1);
    const struct weft_gather_item *items = items_of(crowd.all);
    for (int i = 0; i < CHILDREN; i++) {
        CHECK_EQ(items[i].status, 0);
        CHECK(items[i].value == &values[i]);
    }
    crowd_end(&crowd);
}

Test(gather, takes_the_same_future_twice, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *child = scene_future(loop);
    struct weft_future *twice[] = {child, child};
    struct weft_future *all;
    CHECK_EQ(weft_gather(loop, twice, 2, 0, &all), 0);
    CHECK_EQ(weft_future_set_result(child, &values[1]), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, all, NULL), 0);
    CHECK(items_of(all)[0].value == &values[1]);
    CHECK(items_of(all)[1].value == &values[1]);
    weft_future_unref(all);
    weft_future_unref(child);
    scene_drop(loop);
}

Test(gather, of_nothing_is_done_at_once, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *all;
    CHECK_EQ(weft_gather(loop, NULL, 0, 0, &all), 0);
    CHECK_EQ(weft_future_result(all, NULL), 0);
    CHECK(weft_future_get_loop(all) == loop);
    weft_future_unref(all);
    scene_drop(loop);
}

Test(gather, of_what_is_done_takes_an_iteration, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *child = scene_future(loop), *all;
    CHECK_EQ(weft_future_set_result(child, NULL), 0);
    CHECK_EQ(weft_gather(loop, &child, 1, 0, &all), 0);
    CHECK(!weft_future_done(all));
    scene_turn(loop);
    CHECK(weft_future_done(all));
    weft_future_unref(all);
    weft_future_unref(child);
    scene_drop(loop);
}

Test(gather, refuses_what_makes_no_sense, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *hole[] = {NULL}, *all;
    CHECK_EQ(weft_gather(NULL, NULL, 0, 0, &all), -EINVAL);
    CHECK_EQ(weft_gather(loop, NULL, 1, 0, &all), -EINVAL);
    CHECK_EQ(weft_gather(loop, hole, 1, 0, &all), -EINVAL);
    CHECK_EQ(weft_gather(loop, NULL, 0, 0, NULL), -EINVAL);
    scene_drop(loop);
}

/* ---- failures --------------------------------------------------------------------------------------------------------------------- */

Test(gather, raises_the_first_failure_at_once_and_leaves_the_others_be, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), 0);
    fail(&crowd, 1, -EIO);
    CHECK_EQ(weft_future_result(crowd.all, NULL), -EIO);
    CHECK(!weft_future_done(crowd.children[0]));
    fail(&crowd, 0, -EPIPE); /* counts as asked for: crowd_end() sees no report */
    succeed(&crowd, 2);
    CHECK_EQ(weft_future_result(crowd.all, NULL), -EIO);
    crowd_end(&crowd);
}

Test(gather, that_nobody_asks_reports_its_failure, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), 0);
    fail(&crowd, 1, -EIO);
    weft_future_unref(crowd.all);
    crowd.all = NULL;
    CHECK_EQ(scene_reports(), 0); /* two children still refer to it */
    succeed(&crowd, 0);
    succeed(&crowd, 2);
    CHECK_EQ(scene_reports(), 1);
    CHECK_EQ(scene_report_status(), -EIO);
    crowd_end(&crowd);
}

Test(gather, may_return_failures_as_items, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), WEFT_GATHER_RETURN_EXCEPTIONS);
    fail(&crowd, 1, -EIO);
    CHECK(weft_future_cancel(crowd.children[2], NULL));
    scene_turn(crowd.loop);
    succeed(&crowd, 0);
    const struct weft_gather_item *items = items_of(crowd.all);
    CHECK_EQ(items[0].status, 0);
    CHECK_EQ(items[1].status, -EIO);
    CHECK_EQ(items[2].status, -ECANCELED);
    crowd_end(&crowd);
}

Test(gather, ends_with_cancellation_as_its_exception_if_a_child_was_cancelled, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), 0);
    CHECK(weft_future_cancel(crowd.children[1], NULL));
    scene_turn(crowd.loop);
    CHECK_EQ(weft_future_result(crowd.all, NULL), -ECANCELED);
    CHECK(!weft_future_cancelled(crowd.all));
    CHECK(!weft_future_done(crowd.children[0]));
    crowd_end(&crowd);
}

/* ---- cancelling ------------------------------------------------------------------------------------------------------------------- */

static void cancel_with(uint32_t flags)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), flags);
    succeed(&crowd, 0);
    CHECK(weft_future_cancel(crowd.all, "enough"));
    CHECK(!weft_future_done(crowd.all));
    CHECK(weft_future_cancelled(crowd.children[1]));
    CHECK(weft_future_cancelled(crowd.children[2]));
    CHECK_STR(weft_future_cancel_message(crowd.children[2]), "enough");
    scene_turn(crowd.loop);
    int exception = 0;
    CHECK_EQ(weft_future_exception(crowd.all, &exception), 0);
    CHECK_EQ(exception, -ECANCELED);
    CHECK(!weft_future_cancelled(crowd.all));
    CHECK(!weft_future_cancel(crowd.all, NULL));
    crowd_end(&crowd);
}

Test(gather, cancelled_cancels_its_children_and_ends_finished, .timeout = 5)
{
    cancel_with(0);
}

Test(gather, cancelled_raises_even_if_failures_are_items, .timeout = 5)
{
    cancel_with(WEFT_GATHER_RETURN_EXCEPTIONS);
}

Test(gather, whose_children_are_all_done_is_not_cancelled, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), 0);
    for (int i = 0; i < CHILDREN; i++)
        CHECK_EQ(weft_future_set_result(crowd.children[i], &values[i]), 0);
    CHECK(!weft_future_cancel(crowd.all, NULL)); /* nobody accepted */
    scene_turn(crowd.loop);
    CHECK(items_of(crowd.all)[2].value == &values[2]);
    crowd_end(&crowd);
}

Test(gather, of_a_gather_is_cancelled_through_and_through, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), 0);
    struct weft_future *outer;
    CHECK_EQ(weft_gather(crowd.loop, &crowd.all, 1, 0, &outer), 0);
    CHECK(weft_future_cancel(outer, NULL));
    CHECK(weft_future_cancelled(crowd.children[1]));
    CHECK_EQ(weft_loop_run_until_complete(crowd.loop, outer, NULL), -ECANCELED);
    CHECK_EQ(weft_future_result(crowd.all, NULL), -ECANCELED);
    weft_future_unref(outer);
    crowd_end(&crowd);
}

static int swallow(void *arg, void **result_out)
{
    *result_out = arg;
    (void)weft_sleep(3600 * SECOND);
    return 0;
}

Test(gather, cancelled_is_cancelled_though_a_child_has_a_result, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_task *task = scene_spawn(loop, swallow, &values[0]);
    struct weft_future *child = &task->future, *all;
    CHECK_EQ(weft_gather(loop, &child, 1, 0, &all), 0);
    scene_turn(loop);
    CHECK(weft_future_cancel(all, NULL));
    CHECK_EQ(weft_loop_run_until_complete(loop, all, NULL), -ECANCELED);
    CHECK_EQ(weft_future_result(child, NULL), 0);
    weft_task_unref(task);
    weft_future_unref(all);
    scene_drop(loop);
}

/* Takes no cancel: it has a result already as it is asked, and the gathering is over before it answers. */
static bool end_instead(struct weft_future *future, const char *message)
{
    (void)message;
    CHECK_EQ(weft_future_set_result(future, NULL), 0);
    scene_turn(future->loop);
    return false;
}

/* As a cancel from another thread may meet it at the last moment. */
Test(gather, that_ends_as_it_is_cancelled_in_vain_ends_with_its_values, .timeout = 5)
{
    static const struct weft_future_ops ops = {.size = sizeof(ops), .cancel = end_instead};
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future child = {.loop = NULL}, *children[] = {&child}, *all;
    CHECK_EQ(weft_future_init(&child, loop, &ops), 0);
    CHECK_EQ(weft_gather(loop, children, 1, 0, &all), 0);
    CHECK(!weft_future_cancel(all, NULL));
    CHECK_EQ(weft_loop_run_until_complete(loop, all, NULL), 0);
    weft_future_unref(all);
    weft_future_unref(&child);
    scene_drop(loop);
}

enum { NESTED = TEST_IS_SLOW ? 20000 : 100000 };

/* Each gathers one that is done and the gathering before. */
static struct weft_future *nest(struct weft_loop *loop, struct weft_future *leaf, struct weft_future *done)
{
    struct weft_future *inner = weft_future_ref(leaf);
    for (int i = 0; i < NESTED; i++) {
        struct weft_future *children[] = {done, inner}, *outer;
        CHECK_EQ(weft_gather(loop, children, 2, 0, &outer), 0);
        weft_future_unref(inner);
        inner = outer;
    }
    return inner;
}

static int cancel_nested(void *arg, void **result_out)
{
    (void)result_out;
    CHECK(weft_future_cancel(arg, "from a small stack"));
    return 0;
}

static int unref_nested(void *arg, void **result_out)
{
    (void)result_out;
    weft_future_unref(arg);
    return 0;
}

Test(gather, may_be_nested_deep_and_cancelled_and_freed_on_a_small_stack, .timeout = 30)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *leaf = scene_future(loop), *done = scene_future(loop);
    CHECK_EQ(weft_future_set_result(done, NULL), 0);
    struct weft_future *all = nest(loop, leaf, done);
    CHECK_EQ(scene_run(loop, cancel_nested, all, NULL), 0);
    CHECK(weft_future_cancelled(leaf));
    CHECK_STR(weft_future_cancel_message(leaf), "from a small stack");
    CHECK_EQ(weft_loop_run_until_complete(loop, all, NULL), -ECANCELED);
    CHECK_EQ(scene_run(loop, unref_nested, all, NULL), 0);
    weft_future_unref(leaf);
    weft_future_unref(done);
    scene_drop(loop);
}

/* What nobody took leaves no trace in any of them: they end with their values. */
Test(gather, nested_that_took_no_cancel_ends_with_its_values, .timeout = 5)
{
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *leaf = scene_future(loop), *inner, *outer;
    CHECK_EQ(weft_gather(loop, &leaf, 1, 0, &inner), 0);
    CHECK_EQ(weft_gather(loop, &inner, 1, 0, &outer), 0);
    CHECK_EQ(weft_future_set_result(leaf, &values[1]), 0);
    CHECK(!weft_future_cancel(outer, NULL));
    CHECK_EQ(weft_loop_run_until_complete(loop, outer, NULL), 0);
    CHECK(items_of(outer)[0].value == items_of(inner) && items_of(inner)[0].value == &values[1]);
    weft_future_unref(outer);
    weft_future_unref(inner);
    weft_future_unref(leaf);
    scene_drop(loop);
}

static int await_gathering(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

Test(gather, awaited_by_a_task_that_is_cancelled_cancels_its_children, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), 0);
    struct weft_task *task = scene_spawn(crowd.loop, await_gathering, crowd.all);
    scene_turn(crowd.loop);
    CHECK(weft_task_cancel(task, NULL));
    CHECK_EQ(weft_loop_run_until_complete(crowd.loop, &task->future, NULL), -ECANCELED);
    CHECK(weft_future_cancelled(crowd.children[0]));
    weft_task_unref(task);
    crowd_end(&crowd);
}

/* ---- lifetime --------------------------------------------------------------------------------------------------------------------- */

Test(gather, may_be_left_alone, .timeout = 5)
{
    struct crowd crowd = crowd_of(scene_sim_loop(), 0);
    weft_future_unref(crowd.all);
    crowd.all = NULL;
    for (int i = 0; i < CHILDREN; i++)
        succeed(&crowd, i);
    crowd_end(&crowd);
}

Test(gather, without_memory_hangs_on_nobody, .timeout = 5)
{
    oom_install();
    struct weft_loop *loop = scene_sim_loop();
    struct weft_future *children[] = {scene_future(loop), scene_future(loop), scene_future(loop)};
    CHECK_EQ(weft_future_set_exception(children[1], -EIO), 0); /* one that is queued already when the next is refused */
    struct weft_future *all = NULL;
    uint64_t n = 1;
    int64_t live = oom_live();
    for (;; n++) {
        oom_start(n);
        int status = weft_gather(loop, children, 3, 0, &all);
        if (!oom_stop())
            break;
        CHECK_EQ(status, -ENOMEM);
        CHECK(all == NULL);
        scene_turn(loop);
        CHECK_EQ(oom_live(), live);
    }
    CHECK_EQ(n, 7);
    scene_turn(loop);
    CHECK_EQ(weft_future_result(all, NULL), -EIO);
    weft_future_unref(all);
    for (int i = 0; i < 3; i++) {
        (void)weft_future_cancel(children[i], NULL);
        weft_future_unref(children[i]);
    }
    scene_drop(loop);
    CHECK_EQ(oom_live(), 0);
    CHECK_EQ(scene_reports(), 0);
}

/* ---- children of other loops -------------------------------------------------------------------------------------------------------- */

enum { LOOPS = 3, ROUNDS = TEST_IS_SLOW ? 100 : 1000, EACH = 16 };

static struct scene_thread threads[LOOPS];

static int yield_a_little(void *arg, void **result_out)
{
    for (uintptr_t i = (uintptr_t)arg % 7; i > 0; i--) {
        int status = weft_yield();
        if (status < 0)
            return status;
    }
    *result_out = arg;
    return 0;
}

static struct weft_task *spawn_on(struct weft_loop *loop, weft_fiber_fn *fn, void *arg)
{
    struct weft_coro *coro;
    struct weft_task *task;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    CHECK_EQ(weft_loop_create_task_threadsafe(loop, coro, NULL, &task), 0);
    return task;
}

/* Gather fibers of all loops on the loop of this one, and cancel every third gathering at once. */
static void gather_round(int round)
{
    struct weft_task *tasks[EACH];
    struct weft_future *children[EACH], *all;
    for (uintptr_t i = 0; i < EACH; i++) {
        tasks[i] = spawn_on(threads[i % LOOPS].loop, yield_a_little, (void *)(i + 1));
        children[i] = &tasks[i]->future;
    }
    CHECK_EQ(weft_gather(weft_get_running_loop(), children, EACH, 0, &all), 0);
    bool is_cancelled = round % 3 == 0 && weft_future_cancel(all, NULL);
    void *value = NULL;
    int status = weft_await(all, &value);
    CHECK(status == 0 || (is_cancelled && status == -ECANCELED));
    const struct weft_gather_item *items = value;
    for (uintptr_t i = 0; i < EACH; i++) {
        CHECK(status < 0 || (items[i].status == 0 && items[i].value == (void *)(i + 1)));
        weft_task_unref(tasks[i]);
    }
    weft_future_unref(all);
}

static int gather_rounds(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (int round = 0; round < ROUNDS; round++)
        gather_round(round);
    return 0;
}

Test(gather, counts_children_of_loops_in_other_threads, .timeout = 60)
{
    for (int i = 0; i < LOOPS; i++)
        scene_thread_start(&threads[i]);
    struct weft_task *task = spawn_on(threads[0].loop, gather_rounds, NULL);
    CHECK_EQ(weft_future_wait(&task->future, 50 * SECOND, NULL), 0);
    weft_task_unref(task);
    for (int i = 0; i < LOOPS; i++)
        scene_thread_stop(&threads[i]);
    CHECK_EQ(scene_reports(), 0);
}

static void *cancel_until_over(void *all)
{
    while (!weft_future_cancel(all, NULL) && !weft_future_done(all)) {
    }
    return NULL;
}

/* A cancellation from a plain thread against children that end meanwhile. */
Test(gather, is_cancelled_or_complete_when_cancelled_from_elsewhere, .timeout = 60)
{
    scene_thread_start(&threads[0]);
    scene_thread_start(&threads[1]);
    for (int round = 0; round < ROUNDS; round++) {
        struct weft_future *children[EACH], *all;
        pthread_t thread;
        for (uintptr_t i = 0; i < EACH; i++)
            children[i] = &spawn_on(threads[1].loop, yield_a_little, (void *)(i + 1))->future;
        CHECK_EQ(weft_gather(threads[0].loop, children, EACH, WEFT_GATHER_RETURN_EXCEPTIONS, &all), 0);
        CHECK_EQ(pthread_create(&thread, NULL, cancel_until_over, all), 0);
        int status = weft_future_wait(all, 10 * SECOND, NULL);
        CHECK(status == 0 || status == -ECANCELED);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        for (int i = 0; i < EACH; i++)
            weft_future_unref(children[i]);
        weft_future_unref(all);
    }
    scene_thread_stop(&threads[0]);
    scene_thread_stop(&threads[1]);
    CHECK_EQ(scene_reports(), 0);
}
