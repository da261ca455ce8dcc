/*
 * Waker: an eventfd that is written at most once for all the signals between two looks.
 *
 * wake is called by anybody who has queued something for a loop; take and block by the loop's poller. The invariant: once is_signalled
 * is set, an eventfd write has happened since the last take, or is about to.
 */
#include "lib/poll/waker.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "weft/atomic.h"

int waker_init(struct waker *waker)
{
    waker->is_signalled = 0;
    waker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker->fd < 0 ? -errno : 0;
}

void waker_fini(struct waker *waker)
{
    if (waker->fd >= 0) {
        close(waker->fd);
        waker->fd = -1;
    }
}

bool waker_wake(struct waker *waker)
{
    /* Release: who finds 1 has published before the sleeper clears the word, so it will be seen. Acquire: who finds 0 writes after the
     * sleeper has read, which would else swallow it. Pairs with the exchange in waker_take(), both. */
    if (weft_atomic_exchange_acq_rel(&waker->is_signalled, 1) != 0)
        return false;
    int errno_before = errno;
    ssize_t count;
    do {
        count = write(waker->fd, &(uint64_t){1}, sizeof(uint64_t));
    } while (count < 0 && errno == EINTR); /* EAGAIN: the counter is full, so the sleeper has an event anyway. */
    errno = errno_before;
    return true;
}

bool waker_take(struct waker *waker)
{
    /* Acquire: after it all that the wakers had queued is visible here. Release: the descriptor has been read. Pairs with the exchange in
     * waker_wake(), both. */
    return weft_atomic_exchange_acq_rel(&waker->is_signalled, 0) != 0;
}

void waker_block(struct waker *waker)
{
    struct pollfd pollfd = {.fd = waker->fd, .events = POLLIN};
    if (poll(&pollfd, 1, -1) > 0) {
        uint64_t count;
        ssize_t got = read(waker->fd, &count, sizeof(count)); /* Before take: the other way round could swallow a later write. */
        (void)got;
    }
}
