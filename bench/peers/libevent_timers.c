/*
 * libevent's timers: evtimer, which asks the clock each time it is armed outside of a callback.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "bench/kit/alarms.h"

enum { NS_PER_US = 1000, US_PER_S = 1000000 };

static struct event_base *base;
static struct event **timers;

static void timer_fires(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    if (alarms_fired())
        event_base_loopbreak(base);
}

static void timers_open(int count)
{
    base = event_base_new();
    timers = calloc((size_t)count, sizeof(*timers));
    for (int i = 0; i < count; i++)
        timers[i] = evtimer_new(base, timer_fires, NULL);
}

static void timers_now(void)
{
}

static void timer_set(int i, uint64_t delay_ns)
{
    uint64_t us = delay_ns / NS_PER_US;
    struct timeval delay = {.tv_sec = (time_t)(us / US_PER_S), .tv_usec = (suseconds_t)(us % US_PER_S)};
    evtimer_add(timers[i], &delay);
}

static void timer_cancel(int i)
{
    evtimer_del(timers[i]);
}

static void timers_run(void)
{
    event_base_dispatch(base);
}

int main(int argc, char **argv)
{
    static const struct alarms alarms = {NULL, timers_open, timer_set, timers_now, timer_cancel, timers_run};
    return alarms_main(argc, argv, "libevent " LIBRARY_VERSION, &alarms);
}
