/*
 * libuv's timers: uv_timer_t, whose clock has milliseconds.
 */
#include <stdlib.h>
#include <uv.h>

#include "bench/kit/alarms.h"

enum { NS_PER_MS = 1000000 };

static uv_loop_t *loop;
static uv_timer_t *timers;

static void timer_fires(uv_timer_t *timer)
{
    if (alarms_fired())
        uv_stop(timer->loop);
}

static void timers_open(int count)
{
    loop = uv_default_loop();
    timers = calloc((size_t)count, sizeof(*timers));
    for (int i = 0; i < count; i++)
        uv_timer_init(loop, &timers[i]);
}

static void timers_now(void)
{
    uv_update_time(loop);
}

static void timer_set(int i, uint64_t delay_ns)
{
    uv_timer_start(&timers[i], timer_fires, delay_ns / NS_PER_MS, 0);
}

static void timer_cancel(int i)
{
    uv_timer_stop(&timers[i]);
}

static void timers_run(void)
{
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    static const struct alarms alarms = {NULL, timers_open, timer_set, timers_now, timer_cancel, timers_run};
    return alarms_main(argc, argv, "libuv " LIBRARY_VERSION, &alarms);
}
