/*
 * ADD-8: how loops are subclassed, and what keeps an old subclass working. The kinds of this file stand on each kind of the table.
 */
#include <stdint.h>
#include <string.h>

#include "tests/conformance/conformance.h"
#include "tests/examples/custom_loop.h"
#include "weft/poller.h"

static int init_status;
static const void *init_options;

static int kind_init(struct weft_loop *loop, void *user, const void *options)
{
    init_options = options;
    note("init");
    CHECK(user == weft_loop_user(loop));
    if (init_status == 0)
        CHECK_EQ(weft_loop_call_soon(loop, note, "prepared", NULL, NULL), 0);
    return init_status;
}

static void kind_fini(struct weft_loop *loop, void *user)
{
    CHECK(user == weft_loop_user(loop));
    note("fini");
}

static int outer_init(struct weft_loop *loop, void *user, const void *options)
{
    (void)loop, (void)user, (void)options;
    note("outer-init");
    return init_status;
}

static void outer_fini(struct weft_loop *loop, void *user)
{
    (void)loop, (void)user;
    note("outer-fini");
}

static struct weft_loop *make(const struct weft_loop_kind *kind)
{
    struct weft_loop *loop;
    CHECK_EQ(weft_loop_new(kind, 64, &loop), 0);
    return loop;
}

Rule(ADD_8, a_kind_is_initialised_on_a_loop_that_can_schedule_and_undone_once)
{
    const struct weft_loop_kind kind = {.size = sizeof(kind), .name = "sub", .base = fixture->kind, .init = kind_init, .fini = kind_fini};
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    struct weft_loop *sub;
    options.user_bytes = 64;
    options.kind = "options";
    CHECK_EQ(weft_loop_new_options(&kind, &options, &sub), 0);
    CHECK(weft_loop_kind(sub) == &kind);
    CHECK_STR(init_options, "options");
    run_once(sub);
    CHECK_STR(notes(), "init prepared");
    CHECK_EQ(weft_loop_close(sub), 0);
    CHECK_STR(notes(), "fini");
    CHECK_EQ(weft_loop_close(sub), 0);
    weft_loop_unref(sub);
    CHECK_STR(notes(), "");
}

Rule(ADD_8, a_kind_of_a_kind_is_made_from_the_base_up_and_undone_downwards)
{
    const struct weft_loop_kind kind = {.size = sizeof(kind), .base = fixture->kind, .init = kind_init, .fini = kind_fini};
    const struct weft_loop_kind outer = {.size = sizeof(outer), .base = &kind, .init = outer_init, .fini = outer_fini};
    loop_drop(make(&outer));
    CHECK_STR(notes(), "init outer-init outer-fini fini");
}

Rule(ADD_8, a_kind_whose_init_fails_makes_the_creation_fail)
{
    const struct weft_loop_kind kind = {.size = sizeof(kind), .base = fixture->kind, .init = kind_init, .fini = kind_fini};
    struct weft_loop *untouched = NULL;
    init_status = -ENODEV;
    CHECK_EQ(weft_loop_new(&kind, 64, &untouched), -ENODEV);
    CHECK(untouched == NULL);
    CHECK_STR(notes(), "init");
}

Rule(ADD_8, a_base_is_undone_if_the_init_above_it_fails)
{
    const struct weft_loop_kind kind = {.size = sizeof(kind), .base = fixture->kind, .init = NULL, .fini = kind_fini};
    const struct weft_loop_kind outer = {.size = sizeof(outer), .base = &kind, .init = outer_init, .fini = outer_fini};
    struct weft_loop *untouched = NULL;
    init_status = -ENODEV;
    CHECK_EQ(weft_loop_new(&outer, 64, &untouched), -ENODEV);
    CHECK_STR(notes(), "outer-init fini");
}

Rule(ADD_8, the_subclass_has_zeroed_memory_of_its_own_behind_the_base)
{
    enum { BYTES = 1000 };
    static const char zeros[BYTES];
    struct weft_loop *sub, *none;
    CHECK_EQ(weft_loop_new(weft_loop_kind_epoll(), BYTES, &sub), 0);
    CHECK_EQ(weft_loop_new(weft_loop_kind_epoll(), 0, &none), 0);
    char *user = weft_loop_user(sub);
    CHECK_EQ((uintptr_t)user % _Alignof(max_align_t), 0);
    CHECK_EQ(memcmp(user, zeros, BYTES), 0);
    memset(user, 0xff, BYTES);
    call_soon(sub, note, "intact");
    run_once(sub);
    CHECK_STR(notes(), "intact");
    CHECK(weft_loop_user(none) == NULL);
    loop_drop(sub);
    loop_drop(none);
}

/* ---- sizes -------------------------------------------------------------------------------------------------------------------------- */

static uint64_t never_now(struct weft_poller *poller)
{
    (void)poller;
    test_fail(__FILE__, __LINE__, "a slot beyond the size of its table was called");
}

static void never_fini(struct weft_loop *loop, void *user)
{
    (void)loop, (void)user;
    test_fail(__FILE__, __LINE__, "a slot beyond the size of its kind was called");
}

Rule(ADD_8, what_lies_beyond_the_size_of_a_table_is_not_there)
{
    const struct weft_poller_ops poller = {.size = offsetof(struct weft_poller_ops, now), .name = "short", .now = never_now};
    const struct weft_loop_kind kind = {
        .size = offsetof(struct weft_loop_kind, fini), .base = fixture->kind, .poller = &poller, .init = kind_init, .fini = never_fini};
    struct weft_loop *sub = make(&kind);
    CHECK_EQ(weft_loop_call_later(sub, 1000, stop_loop, sub, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(sub), 0);
    loop_drop(sub);
    CHECK_STR(notes(), "init prepared");
}

/* A table of tomorrow: longer than what the library knows. */
struct longer_kind {
    struct weft_loop_kind kind;
    void (*unknown)(void);
};

struct longer_poller_ops {
    struct weft_poller_ops ops;
    void (*unknown)(void);
};

static void never(void)
{
    test_fail(__FILE__, __LINE__, "a slot that nobody knows was called");
}

Rule(ADD_8, a_table_that_is_longer_than_the_librarys_is_cut)
{
    const struct longer_poller_ops poller = {.ops = {.size = sizeof(poller), .name = "long"}, .unknown = never};
    const struct longer_kind kind = {.kind = {.size = sizeof(kind), .base = fixture->kind, .poller = &poller.ops, .init = kind_init},
                                     .unknown = never};
    struct weft_loop *sub = make(&kind.kind);
    run_once(sub);
    CHECK_STR(notes(), "init prepared");
    loop_drop(sub);
}

Rule(ADD_8, a_kind_without_a_size_or_without_an_end_is_refused)
{
    struct weft_loop *untouched = NULL;
    const struct weft_loop_kind no_size = {.name = "no size", .base = fixture->kind};
    struct weft_loop_kind ring = {.size = sizeof(ring), .name = "ring"};
    ring.base = &ring;
    CHECK_EQ(weft_loop_new(&no_size, 0, &untouched), WEFT_EPROTOCOL);
    CHECK_EQ(weft_loop_new(&ring, 0, &untouched), WEFT_EPROTOCOL);
    CHECK_EQ(weft_loop_new(fixture->kind, SIZE_MAX, &untouched), -EINVAL);
    CHECK(untouched == NULL);
}

/* ---- the example ---------------------------------------------------------------------------------------------------------------------- */

static void stop_elsewhere(void *loop)
{
    CHECK_EQ(weft_loop_stop(loop), 0);
}

static int stop_from_elsewhere(void *loop)
{
    in_other_thread(stop_elsewhere, loop);
    return 0;
}

Rule(ADD_8, the_example_sees_its_loop_sleep_and_be_woken)
{
    struct weft_loop *custom = make(custom_loop_kind());
    struct custom_counts counts;
    call_soon(custom, stop_from_elsewhere, custom);
    CHECK_EQ(weft_loop_run_forever(custom), 0);
    custom_loop_get_counts(custom, &counts);
    CHECK_EQ(counts.inits, 1);
    CHECK(counts.waits >= 1);
    loop_drop(custom);
}
