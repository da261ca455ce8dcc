/*
 * What does a timer cost?
 *
 * See bench/kit/alarms.h for what is done with them; these are embedded ones (weft/timer.h), on a loop of a runtime. Nothing is allocated for
 * each but its place in the loop's heap.
 */
#include <stdlib.h>

#include "bench/kit/alarms.h"
#include "bench/kit/tasks.h"
#include "weft/timer.h"

static const struct kit *kit_of_timers;
static struct weft_loop *loop;
static struct weft_timer *timers;
static struct weft_future *all_fired;
static uint64_t base_ns;

static int timer_fires(void *arg)
{
    (void)arg;
    return alarms_fired() ? weft_future_set_result(all_fired, NULL) : 0;
}

static void timers_open(int count)
{
    loop = weft_get_running_loop();
    timers = calloc((size_t)count, sizeof(*timers));
    kit_check(kit_of_timers, timers != NULL, "memory");
    for (int i = 0; i < count; i++)
        weft_timer_init(&timers[i], loop, timer_fires, NULL);
}

static void timers_now(void)
{
    base_ns = weft_loop_time(loop);
}

static void timer_set(int i, uint64_t delay_ns)
{
    kit_must(kit_of_timers, weft_timer_start_at(&timers[i], base_ns + delay_ns), "a timer");
}

static void timer_cancel(int i)
{
    (void)weft_timer_stop(&timers[i]);
}

static void timers_run(void)
{
    kit_must(kit_of_timers, weft_loop_create_future(loop, &all_fired), "a future");
    kit_must(kit_of_timers, weft_await(all_fired, NULL), "the timers");
    weft_future_unref(all_fired);
}

static void within_a_loop(struct kit *kit, void (*body)(struct kit *kit))
{
    kit_of_timers = kit;
    tasks_within(kit, NULL, body);
    free(timers);
}

int main(int argc, char **argv)
{
    static const struct alarms alarms = {within_a_loop, timers_open, timer_set, timers_now, timer_cancel, timers_run};
    return alarms_main(argc, argv, "weft", &alarms);
}
