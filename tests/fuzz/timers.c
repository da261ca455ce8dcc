/*
 * Timers of a loop in virtual time: start, move, stop and cancel, from outside and from their callbacks, against a list that is searched
 * for its earliest. A timer fires when its turn has come, in the order of times and then of arming, once, and never after its stop.
 */
#include "lib/loop/loop.h"
#include "tests/fuzz/fuzz.h"
#include "weft/timer.h"

enum { TIMERS = 12, PLACES = 20, DAY_S = 86400 };

#define DAY_NS (UINT64_C(1000000000) * DAY_S)

/* Below TIMERS a timer, else what call_later() and call_at() made. */
struct place {
    struct weft_timer timer;
    struct weft_handle *handle;
    uint64_t when_ns, sequence;
    bool is_armed;
    bool is_due; /* in the turn that goes on now */
};

static struct fuzz *input;
static struct weft_loop *loop;
static struct place places[PLACES];
static uint64_t sequence, fired, soon_fired, soon_count, now_ns;

/* The first of those that are armed (and due, if asked so). */
static struct place *earliest(bool is_due)
{
    struct place *first = NULL;
    for (struct place *each = places; each < places + PLACES; each++) {
        bool counts = each->is_armed && (each->is_due || !is_due);
        if (counts &&
            (first == NULL || each->when_ns < first->when_ns || (each->when_ns == first->when_ns && each->sequence < first->sequence)))
            first = each;
    }
    return first;
}

static void expect(struct place *place, uint64_t when_ns)
{
    place->when_ns = when_ns;
    place->sequence = sequence++;
    place->is_armed = true;
    place->is_due = false;
}

/* Zero, small and crowded, days, the ends of the range, before now. */
static int64_t read_delay(void)
{
    uint32_t shape = fuzz_below(input, 6);
    int64_t number = fuzz_byte(input);
    switch (shape) {
    case 0:
        return 0;
    case 1:
        return number % 4;
    case 2:
        return number * 1000;
    case 3:
        return number * (int64_t)DAY_NS / 16;
    case 4:
        return INT64_MAX - number;
    default:
        return number < 128 ? -number : INT64_MIN + number;
    }
}

static uint64_t when_of(int64_t delay)
{
    return now_ns + (delay > 0 ? (uint64_t)delay : 0);
}

static void act(void);

static int fire(void *arg)
{
    struct place *place = arg;
    CHECK(place == earliest(true));
    CHECK(place->when_ns <= now_ns && weft_loop_time(loop) == now_ns);
    place->is_armed = place->is_due = false;
    fired++;
    for (uint32_t count = fuzz_below(input, 4); count > 0; count--)
        act();
    return 0;
}

static void start(struct place *place, bool is_absolute)
{
    int64_t delay = read_delay();
    if (place < places + TIMERS) {
        CHECK_EQ(is_absolute ? weft_timer_start_at(&place->timer, (uint64_t)delay) : weft_timer_start(&place->timer, delay), 0);
        expect(place, is_absolute ? (uint64_t)delay : when_of(delay));
    } else if (!place->is_armed) {
        uint64_t when_ns = is_absolute ? (uint64_t)delay : when_of(delay);
        weft_handle_unref(place->handle);
        CHECK_EQ(is_absolute ? weft_loop_call_at(loop, when_ns, fire, place, &place->handle)
                             : weft_loop_call_later(loop, delay, fire, place, &place->handle),
                 0);
        CHECK(weft_handle_when(place->handle) == when_ns);
        expect(place, when_ns);
    }
}

static void stop(struct place *place)
{
    bool was_armed = place < places + TIMERS ? weft_timer_stop(&place->timer) : weft_handle_cancel(place->handle);
    CHECK_EQ(was_armed, place->is_armed);
    place->is_armed = false;
}

static int soon(void *arg)
{
    (void)arg;
    soon_fired++;
    return 0;
}

static void act(void)
{
    uint32_t what = fuzz_below(input, 4);
    struct place *place = &places[fuzz_below(input, PLACES)];
    if (what == 0) {
        start(place, false);
    } else if (what == 1) {
        start(place, true);
    } else if (what == 2) {
        stop(place);
    } else {
        CHECK_EQ(weft_loop_call_soon(loop, soon, NULL, NULL, NULL), 0);
        soon_count++;
    }
}

/* One turn. If nothing else is to be done and it may, it sleeps to the first timer, or a day. */
static void turn(bool may_sleep)
{
    const struct place *first = earliest(false);
    bool is_idle = soon_count == soon_fired && (first == NULL || first->when_ns > now_ns);
    if (is_idle && (first == NULL || first->when_ns == UINT64_MAX || now_ns > INT64_MAX))
        may_sleep = false; /* it would for ever, or beyond the end of time */
    if (is_idle && may_sleep)
        now_ns = first->when_ns - now_ns > DAY_NS ? now_ns + DAY_NS : first->when_ns;
    for (struct place *each = places; each < places + PLACES; each++)
        each->is_due = each->is_armed && each->when_ns <= now_ns;
    uint64_t soon_expected = soon_count;
    CHECK_EQ(loop_turn(loop, may_sleep), 0);
    CHECK(earliest(true) == NULL);
    CHECK_EQ(soon_fired, soon_expected);
    CHECK(weft_loop_time(loop) == now_ns);
    first = earliest(false);
    CHECK(loop_next_timer_ns(loop) == (first == NULL ? UINT64_MAX : first->when_ns));
}

static void open(void)
{
    CHECK_EQ(weft_loop_new(weft_loop_kind_sim(), 0, &loop), 0);
    memset(places, 0, sizeof(places));
    for (struct place *each = places; each < places + TIMERS; each++)
        weft_timer_init(&each->timer, loop, fire, each);
    fired = soon_fired = soon_count = sequence = 0;
    now_ns = weft_loop_time(loop);
    CHECK_EQ(loop_enter(loop), 0);
}

/* With what is armed still armed: it is dropped. */
static void finish(void)
{
    uint64_t before = fired;
    loop_leave(loop);
    CHECK_EQ(weft_loop_close(loop), 0);
    CHECK_EQ(fired, before);
    for (struct place *each = places; each < places + PLACES; each++)
        weft_handle_unref(each->handle);
    weft_loop_unref(loop);
}

void fuzz_target(struct fuzz *fuzz)
{
    input = fuzz;
    open();
    while (fuzz_has_more(fuzz)) {
        uint32_t what = fuzz_below(fuzz, 4);
        if (what < 2)
            act();
        else
            turn(what == 3);
    }
    finish();
}
