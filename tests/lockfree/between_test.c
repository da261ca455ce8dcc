/*
 * What others do between two steps of one call: each compare-and-swap that can fail fails here, at a place that is known.
 */
#include "lib/lockfree/inbox.h"
#include "lib/lockfree/injector.h"
#include "lib/lockfree/job_stack.h"
#include "lib/lockfree/ring.h"

#include "tests/support/intruder.h"
#include "tests/support/test.h"

#if INTRUDER_WORKS

enum { WORKS = RING_CAPACITY, JOBS = 8 };

static struct {
    struct ring ring;
    struct inbox inbox;
    struct injector injector;
    struct weft_job_stack jobs;
} * shared;

static struct ring other;
static struct weft_work works[WORKS], late;
static struct weft_work *met[WORKS];
static int met_count;
static struct weft_job slots[JOBS + 1];

static void setup(void)
{
    shared = intruder_map(sizeof(*shared));
    ring_init(&shared->ring, 0);
    ring_init(&other, 0);
    inbox_init(&shared->inbox);
    injector_init(&shared->injector);
    met_count = 0;
}

static void teardown(void)
{
    intruder_unmap(shared, sizeof(*shared));
}

static void fill(int count)
{
    for (int i = 0; i < count; i++)
        CHECK(ring_push(&shared->ring, &works[i]));
}

static void lose_one(void)
{
    met[met_count++] = ring_pop(&shared->ring);
}

static void check_met(int count)
{
    CHECK_EQ(met_count, count);
    for (int i = 0; i < count; i++)
        CHECK_EQ(met[i] - works, i);
}

Test(between, a_pop_that_comes_second_gives_the_next, .init = setup, .fini = teardown, .timeout = 5)
{
    fill(2);
    intruder_watch(&shared->ring.head, 1, lose_one);
    struct weft_work *work = ring_pop(&shared->ring);
    CHECK_EQ(intruder_leave(), 1);
    check_met(1);
    CHECK_EQ(work - works, 1);
    CHECK(ring_pop(&shared->ring) == NULL);
}

Test(between, a_pop_that_comes_too_late_gives_nothing, .init = setup, .fini = teardown, .timeout = 5)
{
    fill(1);
    intruder_watch(&shared->ring.head, 1, lose_one);
    struct weft_work *work = ring_pop(&shared->ring);
    CHECK_EQ(intruder_leave(), 1);
    check_met(1);
    CHECK(work == NULL);
}

Test(between, half_of_a_ring_is_what_is_left_of_it, .init = setup, .fini = teardown, .timeout = 5)
{
    struct weft_work_list list = {NULL, NULL, 0};
    fill(4);
    intruder_watch(&shared->ring.head, 1, lose_one);
    size_t count = ring_take_half(&shared->ring, &list);
    CHECK_EQ(intruder_leave(), 1);
    check_met(1);
    CHECK_EQ(count, 2);
    CHECK_EQ(weft_work_list_pop(&list) - works, 1);
    CHECK_EQ(weft_work_list_pop(&list) - works, 2);
    CHECK(weft_work_list_pop(&list) == NULL);
    CHECK_EQ(ring_pop(&shared->ring) - works, 3);
}

Test(between, a_thief_that_comes_second_steals_of_the_rest, .init = setup, .fini = teardown, .timeout = 5)
{
    fill(4);
    intruder_watch(&shared->ring.head, 1, lose_one);
    size_t count = ring_steal(&shared->ring, &other);
    CHECK_EQ(intruder_leave(), 1);
    check_met(1);
    CHECK_EQ(count, 2);
    CHECK_EQ(ring_pop(&other) - works, 1);
    CHECK_EQ(ring_pop(&other) - works, 2);
    CHECK(ring_pop(&other) == NULL);
    CHECK_EQ(ring_pop(&shared->ring) - works, 3);
}

Test(between, a_thief_that_is_always_late_gives_up_with_nothing, .init = setup, .fini = teardown, .timeout = 5)
{
    fill(16);
    intruder_watch(&shared->ring.head, WORKS, lose_one);
    size_t count = ring_steal(&shared->ring, &other);
    CHECK(intruder_leave() < 16);
    CHECK_EQ(count, 0);
    CHECK_EQ(ring_count(&other), 0);
    CHECK_EQ(ring_count(&shared->ring), 16 - (size_t)met_count);
    check_met(met_count);
}

/* ---- the inbox ------------------------------------------------------------------------------------------------------------------- */

static void reserve_the_last(void)
{
    CHECK(inbox_reserve(&shared->inbox, 1, 1));
}

Test(between, the_last_place_goes_to_who_comes_first, .init = setup, .fini = teardown, .timeout = 5)
{
    intruder_watch(&shared->inbox.reserved, 1, reserve_the_last);
    bool is_admitted = inbox_reserve(&shared->inbox, 1, 1);
    CHECK_EQ(intruder_leave(), 1);
    CHECK(!is_admitted);
    CHECK_EQ(shared->inbox.reserved, 1); /* the other's alone */
}

static void push_first(void)
{
    CHECK_EQ(inbox_push(&shared->inbox, &works[0], &works[0]), INBOX_PUSHED);
}

static void close_first(void)
{
    CHECK_EQ(inbox_close(&shared->inbox).count, 0);
}

static void park_first(void)
{
    CHECK(inbox_park(&shared->inbox));
}

Test(between, a_push_goes_behind_who_was_faster, .init = setup, .fini = teardown, .timeout = 5)
{
    intruder_watch(&shared->inbox.head, 1, push_first);
    enum inbox_push_result result = inbox_push(&shared->inbox, &late, &late);
    CHECK_EQ(intruder_leave(), 1);
    CHECK_EQ(result, INBOX_PUSHED);
    struct inbox_batch batch = inbox_take(&shared->inbox);
    CHECK_EQ(batch.count, 2);
    CHECK(batch.first == &works[0] && batch.last == &late);
}

Test(between, a_push_that_a_close_overtakes_is_refused, .init = setup, .fini = teardown, .timeout = 5)
{
    intruder_watch(&shared->inbox.head, 1, close_first);
    enum inbox_push_result result = inbox_push(&shared->inbox, &works[0], &works[0]);
    CHECK_EQ(intruder_leave(), 1);
    CHECK_EQ(result, INBOX_CLOSED);
    CHECK(works[0].next == NULL);
}

Test(between, a_poke_finds_who_has_just_parked, .init = setup, .fini = teardown, .timeout = 5)
{
    intruder_watch(&shared->inbox.head, 1, park_first);
    bool is_owed = inbox_poke(&shared->inbox);
    CHECK_EQ(intruder_leave(), 1);
    CHECK(is_owed);
    CHECK(!inbox_unpark(&shared->inbox));
}

/* ---- the injector ---------------------------------------------------------------------------------------------------------------- */

static void inject_first(void)
{
    CHECK(injector_push(&shared->injector, &works[0], &works[0]));
}

Test(between, what_is_injected_goes_behind_who_was_faster, .init = setup, .fini = teardown, .timeout = 5)
{
    struct weft_work_list list = {NULL, NULL, 0};
    intruder_watch(&shared->injector.incoming, 1, inject_first);
    bool is_pushed = injector_push(&shared->injector, &late, &late);
    CHECK_EQ(intruder_leave(), 1);
    CHECK(is_pushed);
    CHECK_EQ(injector_take(&shared->injector, 3, &list), 2);
    CHECK(weft_work_list_pop(&list) == &works[0] && weft_work_list_pop(&list) == &late);
}

static void take_first(void)
{
    struct weft_work_list list = {NULL, NULL, 0};
    CHECK_EQ(injector_take(&shared->injector, 1, &list), 1);
}

Test(between, a_take_finds_that_another_has_brought_it_in, .init = setup, .fini = teardown, .timeout = 5)
{
    struct weft_work_list list = {NULL, NULL, 0};
    CHECK(injector_push(&shared->injector, &works[0], &works[0]));
    intruder_watch(&shared->injector.incoming, 1, take_first);
    size_t count = injector_take(&shared->injector, 1, &list);
    CHECK_EQ(intruder_leave(), 1);
    CHECK_EQ(count, 0);
    CHECK(weft_work_list_is_empty(&list));
    CHECK(injector_is_empty(&shared->injector));
}

/* ---- the job stack --------------------------------------------------------------------------------------------------------------- */

static void publish(uint32_t count)
{
    job_stack_init(&shared->jobs, slots, JOBS);
    shared->jobs.top += count;
    job_stack_publish(&shared->jobs, count);
}

static void steal_first(void)
{
    CHECK(job_stack_steal(&shared->jobs) == &slots[0]);
}

Test(between, a_thief_of_jobs_that_comes_second_gets_the_next, .init = setup, .fini = teardown, .timeout = 5)
{
    publish(2);
    intruder_watch(&shared->jobs.shares, 1, steal_first);
    struct weft_job *job = job_stack_steal(&shared->jobs);
    CHECK_EQ(intruder_leave(), 1);
    CHECK(job == &slots[1]);
    CHECK(job_stack_steal(&shared->jobs) == NULL);
}

Test(between, a_thief_of_jobs_that_comes_too_late_gets_none, .init = setup, .fini = teardown, .timeout = 5)
{
    publish(1);
    intruder_watch(&shared->jobs.shares, 1, steal_first);
    struct weft_job *job = job_stack_steal(&shared->jobs);
    CHECK_EQ(intruder_leave(), 1);
    CHECK(job == NULL);
}

/* Take back the newest of `count`, of which a thief gets the oldest in between. */
static bool take_back(uint32_t count)
{
    publish(count);
    intruder_watch(&shared->jobs.shares, 1, steal_first);
    bool is_taken = job_stack_take_back(&shared->jobs);
    CHECK_EQ(intruder_leave(), 1);
    return is_taken;
}

Test(between, an_owner_takes_back_what_a_thief_has_left, .init = setup, .fini = teardown, .timeout = 5)
{
    CHECK(take_back(5));
    CHECK_EQ(job_stack_private_count(&shared->jobs), 3);
    CHECK(job_stack_steal(&shared->jobs) == &slots[1]);
    CHECK(job_stack_steal(&shared->jobs) == NULL);
}

Test(between, an_owner_that_comes_too_late_takes_nothing_back, .init = setup, .fini = teardown, .timeout = 5)
{
    CHECK(!take_back(1));
    CHECK_EQ(job_stack_public_count(&shared->jobs), 0);
}

#endif
