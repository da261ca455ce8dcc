/*
 * libev's timers: ev_timer, in its four-ary heap.
 */
#include <ev.h>
#include <stdlib.h>

#include "bench/kit/alarms.h"

static struct ev_loop *loop;
static ev_timer *timers;

static void timer_fires(struct ev_loop *of, ev_timer *timer, int events)
{
    (void)timer, (void)events;
    if (alarms_fired())
        ev_break(of, EVBREAK_ALL);
}

static void timers_open(int count)
{
    loop = ev_default_loop(0);
    timers = calloc((size_t)count, sizeof(*timers));
    for (int i = 0; i < count; i++)
        ev_init(&timers[i], timer_fires);
}

static void timers_now(void)
{
    ev_now_update(loop);
}

/* One that is armed keeps its place in the heap, as far as it can, if it is told to repeat. */
static void timer_set(int i, uint64_t delay_ns)
{
    double delay = (double)delay_ns / 1e9;
    if (ev_is_active(&timers[i])) {
        timers[i].repeat = delay;
        ev_timer_again(loop, &timers[i]);
        return;
    }
    ev_timer_set(&timers[i], delay, 0);
    ev_timer_start(loop, &timers[i]);
}

static void timer_cancel(int i)
{
    ev_timer_stop(loop, &timers[i]);
}

static void timers_run(void)
{
    ev_run(loop, 0);
}

int main(int argc, char **argv)
{
    static const struct alarms alarms = {NULL, timers_open, timer_set, timers_now, timer_cancel, timers_run};
    return alarms_main(argc, argv, "libev " LIBRARY_VERSION, &alarms);
}
