/*
 * Storm: started by the harness before a rule, and over when the rule is. Each work goes through
 * the injector every second time, from where also a loop takes some that is only turned by hand, and never searches; and else through the ring
 * of whoever has taken it.
 */
#include "tests/conformance/storm.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/loop/loop.h"
#include "lib/sched/crew.h"
#include "tests/support/test.h"
#include "weft/atomic.h"

enum { STORM_WORKS = 24, CALM_WORKS = 2 };

struct gust {
    struct weft_work work; /* first */
    struct worker *home;
    uint32_t is_queued; /* atomic */
    uint32_t run_count; /* atomic */
    uint32_t end_count; /* atomic */
};

static struct gust gusts[STORM_WORKS];
static uint32_t is_over; /* atomic */
static int gust_count;   /* 0: no storm */

static int blow(struct weft_work *work)
{
    struct gust *gust = (struct gust *)work;
    CHECK_EQ(weft_atomic_exchange_relaxed(&gust->is_queued, 0), 1);
    if (weft_atomic_load_relaxed(&is_over) || worker_current() == NULL) {
        (void)weft_atomic_add_relaxed(&gust->end_count, 1);
        return 0;
    }
    uint32_t run_count = weft_atomic_load_relaxed(&gust->run_count) + 1;
    weft_atomic_store_relaxed(&gust->run_count, run_count);
    weft_atomic_store_relaxed(&gust->is_queued, 1);
    if (run_count % 2 == 0 || !crew_push(gust->home->crew, work))
        work_ready_stealable(gust->home, work);
    return 0;
}

void storm_start(struct weft_loop *const loops[], int count, bool is_calm)
{
    gust_count = 0;
    if (getenv("WEFT_CONFORMANCE_STORM") == NULL || loops[0]->worker.crew == NULL)
        return;
    gust_count = is_calm ? CALM_WORKS : STORM_WORKS;
    weft_atomic_store_relaxed(&is_over, 0);
    for (int i = 0; i < gust_count; i++) {
        gusts[i] = (struct gust){.work = {NULL, blow}, .home = &loops[i % count]->worker, .is_queued = 1};
        work_ready_stealable(gusts[i].home, &gusts[i].work);
    }
}

bool storm_is_under_way(void *unused)
{
    (void)unused;
    for (int i = 0; i < gust_count; i++)
        if (weft_atomic_load_relaxed(&gusts[i].run_count) < 2)
            return false;
    return true;
}

void storm_stop(void)
{
    weft_atomic_store_relaxed(&is_over, 1);
}

void storm_check(void)
{
    for (int i = 0; i < gust_count; i++) {
        CHECK_EQ(weft_atomic_load_relaxed(&gusts[i].end_count), 1);
        CHECK_EQ(weft_atomic_load_relaxed(&gusts[i].is_queued), 0);
    }
}
