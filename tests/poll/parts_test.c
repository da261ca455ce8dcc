/*
 * Parts: tags and wakers by themselves, where a whole poller would hide what they promise.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <unistd.h>

#include "lib/poll/tags.h"
#include "lib/poll/waker.h"
#include "weft/operation.h"

Test(tags, find_what_was_added_until_it_is_removed, .timeout = 5)
{
    enum { FILES = 1000 };
    static struct weft_file files[FILES];
    static uint64_t tags_before[FILES];
    struct tags tags = {NULL, 0, 0};
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
    CHECK_EQ(tags.count_max, 1024); /* Free slots come first. */
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
