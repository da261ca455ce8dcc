/*
 * Epoll: the backend over Linux's epoll, edge-triggered.
 *
 * A file is registered once, for everything, by the first operation that would block; after that no epoll_ctl happens until its close. What
 * becomes of the events is decided in lib/poll/readiness.c, and the attempts themselves are in lib/poll/try.c: here is what only epoll
 * has. Events carry slot tags, so those of a file that is gone find nothing.
 */
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/poll/direct.h"
#include "lib/poll/readiness.h"
#include "lib/poll/tags.h"
#include "lib/poll/try.h"
#include "lib/poll/waker.h"
#include "weft/atomic.h"
#include "weft/memory.h"

enum {
    EVENTS_MAX_DEFAULT = 256,
    EVENTS_MAX = 65536,
};

#define WAKER_TAG UINT64_MAX /* No slot has this index. */

struct epoll_poller {
    struct readiness readiness; /* first */
    struct tags tags;
    struct waker waker;
    int fd;
    bool has_no_pwait2; /* found out by the first call: before Linux 5.11, or a filter that does not know it */
    unsigned events_max;
    struct epoll_event *events;
};

static struct epoll_poller *epoll_of(struct weft_poller *poller)
{
    return (struct epoll_poller *)(void *)poller;
}

static int epoll_add(struct epoll_poller *epoll, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.u64 = tag};
    return epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* What readiness asks of a kernel */

static int file_watch(struct readiness *readiness, struct weft_file *file)
{
    struct epoll_poller *epoll = epoll_of(&readiness->base);
    int status = tags_add(&epoll->tags, file);
    if (status < 0)
        return status;
    status = epoll_add(epoll, file->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, tags_of(file));
    if (status < 0)
        tags_remove(&epoll->tags, file);
    return status;
}

/* A close alone would leave the registration behind wherever a dup or a fork holds the same open file. */
static void file_unwatch(struct readiness *readiness, struct weft_file *file)
{
    struct epoll_poller *epoll = epoll_of(&readiness->base);
    epoll_ctl(epoll->fd, EPOLL_CTL_DEL, file->fd, &(struct epoll_event){0});
    tags_remove(&epoll->tags, file);
}

static void file_close(struct readiness *readiness, struct weft_file *file)
{
    (void)readiness;
    close(file->fd); /* On EINTR Linux has closed it all the same. */
}

static const struct readiness_ops epoll_readiness_ops = {try_operation, try_pieces, file_watch, file_unwatch, file_close};

/* The table */

static void epoll_fini(struct weft_poller *poller)
{
    struct epoll_poller *epoll = epoll_of(poller);
    if (epoll->events == NULL)
        return; /* Never initialised. */
    if (epoll->fd >= 0)
        close(epoll->fd);
    waker_fini(&epoll->waker);
    tags_fini(&epoll->tags);
    readiness_fini(&epoll->readiness);
    weft_free(epoll->events);
    epoll->events = NULL;
}

static int epoll_open(struct epoll_poller *epoll)
{
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->fd < 0)
        return -errno;
    int status = waker_init(&epoll->waker);
    if (status < 0)
        return status;
    return epoll_add(epoll, epoll->waker.fd, EPOLLIN, WAKER_TAG);
}

static int epoll_init(struct weft_poller *poller, const struct weft_poller_options *options)
{
    struct epoll_poller *epoll = epoll_of(poller);
    epoll->fd = -1;
    epoll->waker.fd = -1;
    epoll->events_max = options != NULL && options->events_max != 0 ? options->events_max : EVENTS_MAX_DEFAULT;
    epoll->events_max = epoll->events_max > EVENTS_MAX ? EVENTS_MAX : epoll->events_max;
    epoll->events = weft_calloc(epoll->events_max, sizeof(*epoll->events));
    if (epoll->events == NULL)
        return -ENOMEM;
    int status = readiness_init(&epoll->readiness, &epoll_readiness_ops);
    if (status == 0)
        status = epoll_open(epoll);
    if (status < 0)
        epoll_fini(poller);
    return status;
}

/* Milliseconds round up: a wait that ends before its timer is due would spin until it is. */
static int timeout_in_ms(int64_t timeout_ns)
{
    int64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static int epoll_sleep(struct epoll_poller *epoll, int64_t timeout_ns)
{
    if (timeout_ns > 0 && !epoll->has_no_pwait2) {
        struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000), .tv_nsec = (long)(timeout_ns % 1000000000)};
        int count = epoll_pwait2(epoll->fd, epoll->events, (int)epoll->events_max, &timeout, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        epoll->has_no_pwait2 = true;
    }
    int timeout_ms = timeout_ns < 0 ? -1 : timeout_in_ms(timeout_ns);
    return direct_epoll_wait(epoll->fd, epoll->events, (int)epoll->events_max, timeout_ms);
}

static unsigned ready_bits(uint32_t events)
{
    unsigned bits = 0;
    if ((events & EPOLLIN) != 0)
        bits |= WEFT_FILE_READABLE;
    if ((events & EPOLLOUT) != 0)
        bits |= WEFT_FILE_WRITABLE;
    if ((events & EPOLLRDHUP) != 0)
        bits |= WEFT_FILE_READABLE | WEFT_FILE_HANGUP;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        bits |= WEFT_FILE_READABLE | WEFT_FILE_WRITABLE | WEFT_FILE_HANGUP;
    return bits;
}

static void epoll_event_take(struct epoll_poller *epoll, const struct epoll_event *event)
{
    if (event->data.u64 == WAKER_TAG) {
        waker_take(&epoll->waker);
        return;
    }
    struct weft_file *file = tags_find(&epoll->tags, event->data.u64);
    if (file == NULL) {
        epoll->readiness.base.counters.stale++;
        return;
    }
    readiness_event(&epoll->readiness, file, ready_bits(event->events));
}

static int epoll_wait_events(struct weft_poller *poller, int64_t timeout_ns, struct weft_work_list *ready_out)
{
    struct epoll_poller *epoll = epoll_of(poller);
    poller->counters.waits++;
    int count = epoll_sleep(epoll, readiness_has_ready(&epoll->readiness) ? 0 : timeout_ns);
    if (count < 0 && errno != EINTR)
        return -errno;
    for (int i = 0; i < count; i++)
        epoll_event_take(epoll, &epoll->events[i]);
    poller->counters.events += count > 0 ? (uint64_t)count : 0;
    return readiness_take(&epoll->readiness, ready_out);
}

static void epoll_wake(struct weft_poller *poller)
{
    if (waker_wake(&epoll_of(poller)->waker))
        weft_atomic_add_relaxed(&poller->counters.wakes, 1);
}

static uint64_t epoll_now(struct weft_poller *poller)
{
    (void)poller;
    return clock_monotonic_ns();
}

const struct weft_poller_ops *weft_poller_epoll_ops(void)
{
    static const struct weft_poller_ops ops = {
        .size = sizeof(ops),
        .state_bytes = sizeof(struct epoll_poller),
        .name = "epoll",
        .init = epoll_init,
        .fini = epoll_fini,
        .submit = readiness_submit,
        .cancel = readiness_cancel,
        .wait = epoll_wait_events,
        .wake = epoll_wake,
        .now = epoll_now,
        .send = readiness_send,
    };
    return &ops;
}
