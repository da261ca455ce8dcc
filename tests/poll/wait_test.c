/*
 * Waiting: timeouts, wake-ups and the order of what is ready, on every backend.
 */
#include "tests/poll/scene.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "weft/atomic.h"
#include "weft/memory.h"

static uint64_t now(struct scene *scene)
{
    return scene->poller->ops->now(scene->poller);
}

static void wake(struct scene *scene)
{
    scene->poller->ops->wake(scene->poller);
}

Conformance(wait, does_not_sleep_when_told_not_to)
{
    uint64_t before_ns = now(scene);
    CHECK_EQ(scene_turn(scene, 0), 0);
    if (scene->world != NULL)
        CHECK_EQ(now(scene), before_ns);
}

Conformance(wait, sleeps_its_timeout_and_no_less)
{
    static const int64_t timeouts_ns[] = {1, 50000, 999999, 1000001, 20000000};
    for (size_t i = 0; i < sizeof(timeouts_ns) / sizeof(timeouts_ns[0]); i++) {
        uint64_t before_ns = now(scene);
        CHECK_EQ(scene_turn(scene, timeouts_ns[i]), 0);
        CHECK(now(scene) - before_ns >= (uint64_t)timeouts_ns[i]);
    }
}

Conformance(wait, hands_over_operations_in_the_order_in_which_they_became_ready)
{
    char sink[2];
    struct record receiving = {0};
    struct record cancelled = {0};
    struct weft_work_list ready = {NULL, NULL, 0};
    weft_operation_recv(&cancelled.operation, &scene->far, sink, 1, record_call);
    CHECK_EQ(scene_submit(scene, &cancelled), -EINPROGRESS);
    weft_operation_recv(&receiving.operation, &scene->near, sink, 1, record_call);
    CHECK_EQ(scene_submit(scene, &receiving), -EINPROGRESS);
    CHECK_EQ(scene_cancel(scene, &cancelled), 0);
    scene_send(scene, &scene->far, "x");
    while (ready.count < 2)
        CHECK(scene->poller->ops->wait(scene->poller, 1000000000, &ready) >= 0);
    CHECK(weft_work_list_pop(&ready) == &cancelled.operation.work);
    CHECK(weft_work_list_pop(&ready) == &receiving.operation.work);
    cancelled.operation.work.run(&cancelled.operation.work);
    receiving.operation.work.run(&receiving.operation.work);
    CHECK_EQ(receiving.result, 1);
}

Conformance(wait, appends_behind_what_the_list_holds)
{
    char sink[2];
    struct record record = {0};
    struct weft_work older = {NULL, NULL};
    struct weft_work_list ready = {NULL, NULL, 0};
    weft_work_list_push(&ready, &older);
    weft_operation_recv(&record.operation, &scene->near, sink, 1, record_call);
    CHECK_EQ(scene_submit(scene, &record), -EINPROGRESS);
    CHECK_EQ(scene_cancel(scene, &record), 0);
    CHECK_EQ(scene->poller->ops->wait(scene->poller, -1, &ready), 1);
    CHECK_EQ(ready.count, 2);
    CHECK(weft_work_list_pop(&ready) == &older);
    weft_work_list_pop(&ready)->run(&record.operation.work);
    CHECK_EQ(record.calls, 1);
}

Conformance(wake, before_the_wait_is_not_lost)
{
    wake(scene);
    CHECK_EQ(scene_turn(scene, -1), 0);
}

Conformance(wake, costs_one_system_call_however_many_there_are)
{
    for (int i = 0; i < 1000; i++)
        wake(scene);
    CHECK_EQ(scene->poller->counters.wakes, 1);
    CHECK_EQ(scene_turn(scene, -1), 0);
    wake(scene);
    CHECK_EQ(scene->poller->counters.wakes, 2);
    CHECK_EQ(scene_turn(scene, -1), 0);
}

Conformance(wake, keeps_errno)
{
    errno = 4711;
    wake(scene);
    CHECK_EQ(errno, 4711);
}

/* A thread posts numbers one by one and waits for each to be seen: a lost wake-up hangs. */
enum { POSTS = 2000 };

struct posting {
    struct scene *scene;
    uint32_t posted;
    uint32_t seen;
};

static void *post_all(void *arg)
{
    struct posting *posting = arg;
    for (uint32_t i = 1; i <= POSTS; i++) {
        weft_atomic_store_relaxed(&posting->posted, i); /* wake itself must publish it */
        wake(posting->scene);
        while ((i & 15) == 0 && weft_atomic_load_relaxed(&posting->seen) != i)
            weft_atomic_pause();
    }
    return NULL;
}

Conformance(wake, from_another_thread_always_ends_an_endless_wait)
{
    struct posting posting = {.scene = scene};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, post_all, &posting), 0);
    while (posting.seen != POSTS) {
        scene_turn(scene, -1);
        weft_atomic_store_relaxed(&posting.seen, weft_atomic_load_relaxed(&posting.posted));
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* What the wakers wrote is plain memory: only the exchange orders it, and ThreadSanitizer watches. */
struct message {
    struct scene *scene;
    int text;
    uint32_t is_sent;
};

static void *message_send(void *arg)
{
    struct message *message = arg;
    message->text = 42;
    weft_atomic_store_relaxed(&message->is_sent, 1);
    wake(message->scene);
    return NULL;
}

Conformance(wake, publishes_what_was_written_before_it)
{
    struct message message = {.scene = scene};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, message_send, &message), 0);
    scene_turn(scene, -1);
    CHECK_EQ(weft_atomic_load_relaxed(&message.is_sent), 1);
    CHECK_EQ(message.text, 42);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static struct weft_poller *poller_to_wake;

static void on_signal(int number)
{
    (void)number;
    poller_to_wake->ops->wake(poller_to_wake);
}

static void *signal_send(void *arg)
{
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    return NULL;
}

/* ThreadSanitizer holds handlers back until a system call that it does not know is over, so there the wait must end by itself. */
#if defined(WEFT_ATOMIC_TSAN)
#define SIGNAL_WAIT_NS 10000000
#else
#define SIGNAL_WAIT_NS (-1)
#endif

Conformance(wake, works_from_a_signal_handler)
{
    struct sigaction action = {.sa_handler = on_signal};
    pthread_t self = pthread_self();
    pthread_t thread;
    poller_to_wake = scene->poller;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, signal_send, &self), 0);
    while (scene->poller->counters.wakes == 0)
        scene_turn(scene, SIGNAL_WAIT_NS);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* The table */

static const struct weft_poller_ops *ops_of(struct scene *scene)
{
    return scene->poller->ops;
}

Conformance(table, starts_with_its_size_and_has_every_slot)
{
    CHECK_EQ(ops_of(scene)->size, sizeof(struct weft_poller_ops));
    CHECK(weft_poller_ops_has(ops_of(scene), now));
    CHECK(ops_of(scene)->name != NULL);
}

Conformance(table, that_lacks_a_slot_is_refused)
{
    struct weft_poller_ops ops = *ops_of(scene);
    struct weft_poller *poller = weft_calloc(1, ops.state_bytes);
    ops.wake = NULL;
    CHECK_EQ(weft_poller_init(poller, &ops, NULL), -4112); /* WEFT_EPROTOCOL */
    ops = *ops_of(scene);
    ops.size = offsetof(struct weft_poller_ops, now);
    CHECK_EQ(weft_poller_init(poller, &ops, NULL), -4112);
    weft_free(poller);
}

Conformance(table, init_needs_no_options_and_fini_takes_a_zeroed_poller)
{
    struct weft_poller *poller = weft_calloc(1, ops_of(scene)->state_bytes);
    ops_of(scene)->fini(poller);
    CHECK_EQ(weft_poller_init(poller, ops_of(scene), NULL), 0);
    ops_of(scene)->fini(poller);
    ops_of(scene)->fini(poller);
    weft_free(poller);
}
