/*
 * Limits: timeouts of connections, by stamps and one coarse timer for each loop.
 *
 * The socket transport stamps `moved_ns` and `sent_ns` and asks for nothing else on its hot path. A timeout comes up to a tick late and
 * never early.
 */
#include "lib/net/limits.h"

#include <errno.h>
#include <string.h>

#include "lib/loop/loop.h"
#include "lib/net/net.h"
#include "weft/memory.h"

static uint64_t earlier(uint64_t left_ns, uint64_t right_ns)
{
    return left_ns < right_ns ? left_ns : right_ns;
}

/* When it may time out next; UINT64_MAX if it has no timeouts. What waits for nothing now is looked at again in a whole period. */
static uint64_t limits_due(const struct limits *limits, uint64_t now_ns)
{
    uint64_t due_ns = UINT64_MAX;
    if (limits->deadline_ns != 0)
        due_ns = limits->deadline_ns;
    if (limits->idle_ns != 0)
        due_ns = earlier(due_ns, limits->moved_ns + limits->idle_ns);
    if (limits->write_ns != 0)
        due_ns = earlier(due_ns, (limits->transport->write_bytes > 0 ? limits->sent_ns : now_ns) + limits->write_ns);
    return due_ns;
}

static void wheel_remove(struct limits_wheel *wheel, struct limits *limits)
{
    if (limits->next == NULL)
        return;
    struct limits **slot = &wheel->slots[limits->tick % LIMITS_SLOTS];
    if (limits->next == limits) {
        *slot = NULL;
    } else {
        limits->next->prev = limits->prev;
        limits->prev->next = limits->next;
        if (*slot == limits)
            *slot = limits->next;
    }
    limits->next = limits->prev = NULL;
}

/* Each slot is a ring, new ones at its end. */
static void wheel_insert(struct limits_wheel *wheel, struct limits *limits, uint64_t tick)
{
    struct limits **slot = &wheel->slots[tick % LIMITS_SLOTS];
    limits->tick = tick;
    if (*slot == NULL) {
        limits->next = limits->prev = limits;
        *slot = limits;
        return;
    }
    limits->next = *slot;
    limits->prev = (*slot)->prev;
    limits->prev->next = limits->next->prev = limits;
}

static int wheel_arm(struct limits_wheel *wheel, uint64_t tick)
{
    if (tick >= wheel->armed_tick)
        return 0;
    int status = weft_timer_start_at(&wheel->timer, tick << LIMITS_TICK_SHIFT);
    if (status == 0)
        wheel->armed_tick = tick;
    return status;
}

/* Put it where it is due, after the slots that were looked at; far ones at the wheel's end, to be looked at on the way. */
static int wheel_place(struct limits_wheel *wheel, struct limits *limits, uint64_t now_ns)
{
    wheel_remove(wheel, limits);
    uint64_t due_ns = limits_due(limits, now_ns);
    if (due_ns == UINT64_MAX)
        return 0;
    if (wheel->armed_tick == UINT64_MAX)
        wheel->tick = now_ns >> LIMITS_TICK_SHIFT; /* it stood still while it was empty */
    uint64_t tick = (due_ns >> LIMITS_TICK_SHIFT) + 1;
    if (tick <= wheel->tick)
        tick = wheel->tick + 1;
    if (tick > wheel->tick + LIMITS_SLOTS - 1)
        tick = wheel->tick + LIMITS_SLOTS - 1;
    wheel_insert(wheel, limits, tick);
    return wheel_arm(wheel, tick);
}

static void look(struct limits_wheel *wheel, struct limits *limits, uint64_t now_ns)
{
    struct weft_transport *transport = limits->transport;
    if (limits_due(limits, now_ns) > now_ns) {
        (void)wheel_place(wheel, limits, now_ns);
        return;
    }
    wheel_remove(wheel, limits);
    net_of(wheel->loop)->counters.timeouts++;
    transport->flags |= WEFT_TRANSPORT_CLOSING;
    transport->ops->abort(transport, -ETIMEDOUT);
}

static void wheel_arm_next(struct limits_wheel *wheel)
{
    for (uint64_t tick = wheel->tick + 1; tick < wheel->tick + LIMITS_SLOTS; tick++)
        if (wheel->slots[tick % LIMITS_SLOTS] != NULL) {
            (void)wheel_arm(wheel, tick);
            return;
        }
}

/* The ticks that have passed, each slot once: what is put back goes behind wheel->tick, which is moved first. */
static int wheel_turn(void *arg)
{
    struct limits_wheel *wheel = arg;
    uint64_t now_ns = weft_loop_time(wheel->loop);
    uint64_t last = now_ns >> LIMITS_TICK_SHIFT;
    uint64_t first = wheel->tick + 1;
    if (last >= first + LIMITS_SLOTS)
        first = last - LIMITS_SLOTS + 1;
    struct limits *due[LIMITS_SLOTS];
    size_t count = 0;
    for (uint64_t tick = first; tick <= last; tick++) {
        due[count++] = wheel->slots[tick % LIMITS_SLOTS];
        wheel->slots[tick % LIMITS_SLOTS] = NULL;
    }
    wheel->tick = last;
    wheel->armed_tick = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (due[i] == NULL)
            continue;
        due[i]->prev->next = NULL; /* the ring becomes a chain; an abort frees nothing, it defers */
        for (struct limits *limits = due[i], *next; limits != NULL; limits = next) {
            next = limits->next;
            limits->next = limits->prev = NULL;
            look(wheel, limits, now_ns);
        }
    }
    wheel_arm_next(wheel);
    return 0;
}

void limits_wheel_init(struct limits_wheel *wheel, struct weft_loop *loop)
{
    wheel->loop = loop;
    wheel->armed_tick = UINT64_MAX;
    wheel->tick = weft_loop_time(loop) >> LIMITS_TICK_SHIFT;
    weft_timer_init(&wheel->timer, loop, wheel_turn, wheel);
}

void limits_wheel_close(struct limits_wheel *wheel)
{
    (void)weft_timer_stop(&wheel->timer);
}

void limits_wheel_fini(struct limits_wheel *wheel)
{
    (void)weft_timer_stop(&wheel->timer);
}

struct limits *limits_create(struct limits_wheel *wheel, struct weft_transport *transport)
{
    struct limits *limits = weft_calloc(1, sizeof(*limits));
    if (limits != NULL) {
        limits->transport = transport;
        limits->moved_ns = limits->sent_ns = weft_loop_time(wheel->loop);
    }
    return limits;
}

int limits_set(struct limits_wheel *wheel, struct limits *limits, enum weft_transport_option option, uint64_t value)
{
    uint64_t now_ns = weft_loop_time(wheel->loop);
    if (option != WEFT_TRANSPORT_WRITE_BUFFER_MAX && value > UINT64_MAX / 4)
        return -EINVAL;
    switch (option) {
    case WEFT_TRANSPORT_IDLE_NS:
        limits->idle_ns = value;
        limits->moved_ns = now_ns;
        break;
    case WEFT_TRANSPORT_WRITE_NS:
        limits->write_ns = value;
        limits->sent_ns = now_ns;
        break;
    case WEFT_TRANSPORT_DEADLINE_NS:
        limits->deadline_ns = value == 0 ? 0 : now_ns + value;
        break;
    case WEFT_TRANSPORT_WRITE_BUFFER_MAX:
        limits->buffer_max = (size_t)value;
        return 0;
    default:
        return -ENOTSUP;
    }
    return wheel_place(wheel, limits, now_ns);
}

void limits_destroy(struct limits_wheel *wheel, struct limits *limits)
{
    if (limits == NULL)
        return;
    wheel_remove(wheel, limits);
    weft_free(limits);
}
