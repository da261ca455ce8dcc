/*
 * A kind of loop as a user would write it, with public headers only: epoll's, that also counts how often it sleeps, is woken, and makes
 * a transport.
 *
 * It shows the four ways to extend: a slot that goes on to the base's (wait, wake, make_socket), a slot that is inherited because it stays
 * NULL (all others), state behind the poller's own, and state behind the loop's. The same file is built as a shared object against headers
 * whose tables lack their last slot, since a kind that was compiled yesterday has to work tomorrow.
 */
#include "tests/examples/custom_loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "weft/atomic.h"
#include "weft/loop.h"
#include "weft/poller.h"
#include "weft/transport.h"

/* Behind the state of epoll's poller: a wake comes from any thread and knows the poller only. */
struct custom_poller {
    uint64_t wakes;
};

static struct custom_poller *custom_poller_of(struct weft_poller *poller)
{
    return (struct custom_poller *)(void *)((char *)poller + weft_poller_epoll_ops()->state_bytes);
}

/* Called by the thread that runs or closes the loop. */
static int custom_wait(struct weft_poller *poller, int64_t timeout_ns, struct weft_work_list *ready_out)
{
    struct custom_counts *counts = weft_loop_user(weft_get_running_loop());
    counts->waits++;
    counts->wakes = weft_atomic_load_relaxed(&custom_poller_of(poller)->wakes);
    return weft_poller_epoll_ops()->wait(poller, timeout_ns, ready_out);
}

static void custom_wake(struct weft_poller *poller)
{
    (void)weft_atomic_add_relaxed(&custom_poller_of(poller)->wakes, 1);
    weft_poller_epoll_ops()->wake(poller);
}

/* Hands on what this file knows of the arguments, with the size of what it knows. Called by the loop's thread. */
static int custom_make_socket(struct weft_loop *loop, const struct weft_make_socket *args, struct weft_transport **transport_out)
{
    struct custom_counts *counts = weft_loop_user(loop);
    struct weft_make_socket known = {.size = 0};
    size_t bytes = args->size < sizeof(known) ? args->size : sizeof(known);
    memcpy(&known, args, bytes);
    known.size = bytes;
    counts->sockets++;
    return weft_transport_base_ops()->make_socket(loop, &known, transport_out);
}

/* `user` is what weft_loop_new() was asked for: at least a struct custom_counts. */
static int custom_init(struct weft_loop *loop, void *user, const void *options)
{
    (void)loop, (void)options;
    struct custom_counts *counts = user;
    counts->inits++;
    return 0;
}

static struct weft_poller_ops custom_poller_ops = {
    .size = sizeof(custom_poller_ops),
    .name = "custom",
    .wait = custom_wait,
    .wake = custom_wake,
};

static const struct weft_transport_ops custom_transport_ops = {
    .size = sizeof(custom_transport_ops),
    .make_socket = custom_make_socket,
};

static const struct weft_loop_kind custom_kind = {
    .size = sizeof(custom_kind),
    .name = "custom",
    .poller = &custom_poller_ops,
    .transport = &custom_transport_ops,
    .init = custom_init,
};

/* How much state epoll's poller has is known to a running program only. */
__attribute__((constructor)) static void custom_setup(void)
{
    custom_poller_ops.state_bytes = weft_poller_epoll_ops()->state_bytes + sizeof(struct custom_poller);
}

const struct weft_loop_kind *custom_loop_kind(void)
{
    return &custom_kind;
}

void custom_loop_get_counts(struct weft_loop *loop, struct custom_counts *counts_out)
{
    *counts_out = *(const struct custom_counts *)weft_loop_user(loop);
}
