/*
 * Parts: tags and wakers by themselves, where a whole poller would hide what they promise.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "lib/poll/tags.h"
#include "lib/poll/waker.h"
#include "weft/operation.h"
#include "weft/poller.h"
#include "weft/status.h"

Test(tags, find_what_was_added_until_it_is_removed, .timeout = 5)
{
    enum { FILES = 3000 };
    static struct weft_file files[FILES];
    static uint64_t tags_before[FILES];
    struct tags tags = {NULL, 0, 0, 0};
    for (int i = 0; i < FILES; i++) {
        CHECK_EQ(tags_add(&tags, &files[i]), 0);
        tags_before[i] = tags_of(&files[i]);
    }
    for (int i = 0; i < FILES; i += 2)
        tags_remove(&tags, &files[i]);
    for (int i = 0; i < FILES; i++)
        CHECK(tags_find(&tags, tags_before[i]) == (i % 2 == 0 ? NULL : &files[i]));
    for (int i = 0; i < FILES; i += 2)
        CHECK_EQ(tags_add(&tags, &files[i]), 0);
    for (int i = 0; i < FILES; i++) {
        CHECK(tags_find(&tags, tags_of(&files[i])) == &files[i]);
        CHECK(i % 2 != 0 || tags_find(&tags, tags_before[i]) == NULL);
    }
    CHECK_EQ(tags.count, FILES); /* Free slots come first. */
    CHECK(tags_find(&tags, UINT64_MAX) == NULL);
    tags_fini(&tags);
}

Test(waker, keeps_errno_when_its_eventfd_is_full, .timeout = 5)
{
    struct waker waker;
    uint64_t full = UINT64_MAX - 1;
    CHECK_EQ(waker_init(&waker), 0);
    CHECK_EQ(write(waker.fd, &full, sizeof(full)), sizeof(full));
    errno = 4711;
    CHECK(waker_wake(&waker));
    CHECK_EQ(errno, 4711);
    waker_block(&waker);
    CHECK(waker_take(&waker));
    CHECK(!waker_take(&waker));
    waker_fini(&waker);
    waker_fini(&waker);
}

static int init_nothing(struct weft_poller *poller, const struct weft_poller_options *options)
{
    (void)poller, (void)options;
    return 0;
}

/* The table of epoll, but for its init, with the slot at `offset` taken out. */
static struct weft_poller_ops table_without(size_t offset)
{
    struct weft_poller_ops ops = *weft_poller_epoll_ops();
    ops.init = init_nothing;
    memset((char *)&ops + offset, 0, sizeof(ops.init));
    return ops;
}

Test(poller, of_a_table_that_lacks_a_slot_is_refused, .timeout = 5)
{
    static const size_t slots[] = {offsetof(struct weft_poller_ops, init),   offsetof(struct weft_poller_ops, fini),
                                   offsetof(struct weft_poller_ops, submit), offsetof(struct weft_poller_ops, cancel),
                                   offsetof(struct weft_poller_ops, wait),   offsetof(struct weft_poller_ops, wake),
                                   offsetof(struct weft_poller_ops, now)};
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        struct weft_poller poller = {.ops = NULL};
        struct weft_poller_ops lacking = table_without(slots[i]);
        CHECK_EQ(weft_poller_init(&poller, &lacking, NULL), WEFT_EPROTOCOL);
        /* And as an author's who did not know the slot: what lies there is not read. */
        struct weft_poller_ops shorter = *weft_poller_epoll_ops();
        shorter.init = init_nothing;
        shorter.size = slots[i];
        CHECK_EQ(weft_poller_init(&poller, &shorter, NULL), WEFT_EPROTOCOL);
        CHECK(poller.ops == NULL);
    }
}

Test(poller, of_a_table_for_less_than_a_poller_is_refused, .timeout = 5)
{
    struct weft_poller poller = {.ops = NULL};
    struct weft_poller_ops ops = *weft_poller_epoll_ops();
    ops.init = init_nothing;
    ops.state_bytes = sizeof(poller) - 1;
    CHECK_EQ(weft_poller_init(&poller, &ops, NULL), WEFT_EPROTOCOL);
    CHECK_EQ(weft_poller_init(&poller, NULL, NULL), WEFT_EPROTOCOL);
    CHECK_EQ(weft_poller_init(NULL, &ops, NULL), -EINVAL);
    ops.state_bytes = sizeof(poller);
    CHECK_EQ(weft_poller_init(&poller, &ops, NULL), 0);
    CHECK(poller.ops == &ops);
}
