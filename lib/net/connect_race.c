/*
 * Race: addresses tried one after the other, the next one as soon as one fails or has taken too long (RFC 8305).
 *
 * There is one winner. An attempt that answers after the decision is closed like one that failed. Each attempt that is open counts as
 * pending until its file is out of the poller.
 */
#include <errno.h>

#include "lib/net/connecting.h"
#include "lib/net/descriptor.h"

static void race_go_on(struct connecting *connecting);

static struct weft_loop *race_loop(const struct connecting *connecting)
{
    return connecting->future.loop;
}

/* The file is out of the poller: closed, or won and its descriptor free. */
static void attempt_over(struct attempt *attempt)
{
    struct connecting *connecting = attempt->connecting;
    attempt->is_open = false;
    if (attempt->is_winner)
        connecting_won(connecting, attempt->file.fd);
    else if (!connecting->is_decided)
        race_go_on(connecting);
    connecting_unpend(connecting);
}

static int attempt_left(struct weft_operation *operation, int result, unsigned flags)
{
    (void)result, (void)flags;
    attempt_over(weft_container_of(operation, struct attempt, operation));
    return 0;
}

static void attempt_leave(struct attempt *attempt)
{
    weft_operation_close(&attempt->operation, &attempt->file, attempt_left);
    attempt->operation.flags |= attempt->is_winner ? WEFT_OP_KEEP_FD : 0;
    if (loop_submit(race_loop(attempt->connecting), &attempt->operation) != -EINPROGRESS)
        attempt_over(attempt);
}

static void attempt_done(struct attempt *attempt, int result)
{
    struct connecting *connecting = attempt->connecting;
    if (!connecting->is_decided && result >= 0) {
        attempt->is_winner = true;
        race_end(connecting);
    } else if (!connecting->is_decided) {
        attempt->status = result;
    }
    attempt_leave(attempt);
}

static int attempt_connected(struct weft_operation *operation, int result, unsigned flags)
{
    (void)flags;
    attempt_done(weft_container_of(operation, struct attempt, operation), result);
    return 0;
}

static int attempt_open(const struct connecting *connecting, int family)
{
    const struct weft_address *local = &connecting->local;
    if (local->family != AF_UNSPEC && local->family != family)
        return -EADDRNOTAVAIL;
    return descriptor_open(race_loop(connecting), family, local->family == AF_UNSPEC ? NULL : local, 0);
}

/* Open a socket and connect it. What comes of it is told through attempt_done(), perhaps within; a status below 0: it never began. */
static int attempt_begin(struct attempt *attempt, const struct weft_address *address)
{
    struct connecting *connecting = attempt->connecting;
    int fd = attempt_open(connecting, address->family);
    if (fd < 0)
        return fd;
    attempt->is_open = true;
    connecting->pending_count++;
    weft_file_init(&attempt->file, fd, WEFT_FILE_STREAM);
    weft_operation_connect(&attempt->operation, &attempt->file, (const struct sockaddr *)&address->storage, address->len,
                           attempt_connected);
    int result = loop_submit(race_loop(connecting), &attempt->operation);
    if (result != -EINPROGRESS)
        attempt_done(attempt, result);
    return 0;
}

static bool is_any_open(const struct connecting *connecting)
{
    for (size_t i = 0; i < connecting->next; i++)
        if (connecting->attempts[i].is_open)
            return true;
    return false;
}

static int first_status(const struct connecting *connecting)
{
    for (size_t i = 0; i < connecting->addresses.count; i++)
        if (connecting->attempts[i].status < 0)
            return connecting->attempts[i].status;
    return -ENETUNREACH;
}

/* Begin with the next address, past those that fail at once; when there is none and nothing is open, that was it. */
static void race_go_on(struct connecting *connecting)
{
    (void)weft_timer_stop(&connecting->stagger);
    while (!connecting->is_decided && connecting->next < connecting->addresses.count) {
        struct attempt *attempt = &connecting->attempts[connecting->next];
        attempt->connecting = connecting;
        size_t index = connecting->next++;
        int status = attempt_begin(attempt, &connecting->addresses.addresses[index]);
        if (status < 0) {
            attempt->status = status;
            continue;
        }
        if (attempt->is_open && !connecting->is_decided && connecting->options.happy_eyeballs_delay_ns > 0)
            (void)weft_timer_start(&connecting->stagger, connecting->options.happy_eyeballs_delay_ns);
        return;
    }
    if (!connecting->is_decided && !is_any_open(connecting))
        connecting_failed(connecting, first_status(connecting));
}

static int stagger_fired(void *arg)
{
    struct connecting *connecting = arg;
    connecting->pending_count++; /* lest it goes under us */
    race_go_on(connecting);
    connecting_unpend(connecting);
    return 0;
}

void race_begin(struct connecting *connecting)
{
    weft_timer_init(&connecting->stagger, race_loop(connecting), stagger_fired, connecting);
    race_go_on(connecting);
}

void race_end(struct connecting *connecting)
{
    connecting->is_decided = true;
    (void)weft_timer_stop(&connecting->stagger);
    (void)weft_timer_stop(&connecting->timeout);
    for (size_t i = 0; i < connecting->next; i++) {
        struct attempt *attempt = &connecting->attempts[i];
        if (attempt->is_open && weft_operation_is_pending(&attempt->operation))
            (void)loop_cancel(race_loop(connecting), &attempt->operation);
    }
}
