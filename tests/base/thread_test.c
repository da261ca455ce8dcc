/*
 * Thread: options are obeyed from the first instruction on, and ids tell living threads apart.
 */
#include "lib/base/clock.h"
#include "lib/base/parker.h"
#include "lib/base/thread.h"
#include "tests/support/test.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct seen {
    char name[16];
    sigset_t mask;
    size_t stack_bytes;
    uintptr_t id;
    bool is_done;
};

static void look_around(void *arg)
{
    struct seen *seen = arg;
    pthread_attr_t attr;
    CHECK_EQ(pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name)), 0);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &seen->mask), 0);
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
    CHECK_EQ(pthread_attr_getstacksize(&attr, &seen->stack_bytes), 0);
    CHECK_EQ(pthread_attr_destroy(&attr), 0);
    seen->id = thread_id();
    seen->is_done = true;
}

static struct seen look_around_with(const struct thread_options *options)
{
    struct seen seen = {.is_done = false};
    struct thread thread;
    CHECK_EQ(thread_start(&thread, options, look_around, &seen), 0);
    thread_join(&thread);
    CHECK(seen.is_done);
    return seen;
}

Test(thread, has_the_name_cut_to_fifteen_bytes, .timeout = 5)
{
    CHECK_STR(look_around_with(&(struct thread_options){.name = "weft-loop-0"}).name, "weft-loop-0");
    CHECK_STR(look_around_with(&(struct thread_options){.name = "weft-loop-0123456789"}).name, "weft-loop-01234");
}

/* Not under MSan, whose pthread_create() overwrites the mask that the attributes give with its caller's. */
Test(thread, blocks_all_but_faults_by_default, .timeout = 5, .disabled = TEST_MSAN)
{
    struct seen seen = look_around_with(NULL);
    CHECK(sigismember(&seen.mask, SIGINT));
    CHECK(sigismember(&seen.mask, SIGCHLD));
    CHECK(sigismember(&seen.mask, SIGPIPE));
    CHECK(!sigismember(&seen.mask, SIGSEGV));
    CHECK(!sigismember(&seen.mask, SIGBUS));
    CHECK(!sigismember(&seen.mask, SIGFPE));
}

Test(thread, blocks_exactly_what_it_is_given, .timeout = 5, .disabled = TEST_MSAN)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    struct seen seen = look_around_with(&(struct thread_options){.blocked = &blocked});
    CHECK(sigismember(&seen.mask, SIGUSR1));
    CHECK(!sigismember(&seen.mask, SIGUSR2));
    CHECK(!sigismember(&seen.mask, SIGINT));
}

Test(thread, leaves_the_starting_threads_mask_alone, .timeout = 5)
{
    sigset_t before;
    sigset_t after;
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    (void)look_around_with(NULL);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    for (int signal = 1; signal < SIGRTMAX; signal++)
        CHECK_EQ(sigismember(&after, signal), sigismember(&before, signal));
}

Test(thread, has_at_least_the_stack_it_is_given, .timeout = 5)
{
    CHECK(look_around_with(&(struct thread_options){.stack_bytes = 3 << 20}).stack_bytes >= 3 << 20);
    CHECK(look_around_with(&(struct thread_options){.stack_bytes = 1}).stack_bytes >= 16384);
    CHECK(look_around_with(&(struct thread_options){.stack_bytes = (256 << 10) + 1}).stack_bytes > 256 << 10);
}

Test(thread, reports_that_there_is_no_memory_for_its_stack, .timeout = 5)
{
    struct thread thread;
    struct seen seen = {.is_done = false};
    CHECK_EQ(thread_start(&thread, &(struct thread_options){.stack_bytes = SIZE_MAX}, look_around, &seen), -ENOMEM);
    int status = thread_start(&thread, &(struct thread_options){.stack_bytes = SIZE_MAX / 4}, look_around, &seen);
    CHECK(status == -EAGAIN || status == -ENOMEM);
    CHECK(!seen.is_done);
}

struct meeting {
    struct parker here;
    struct parker there;
    uintptr_t id;
};

static void meet(void *arg)
{
    struct meeting *meeting = arg;
    meeting->id = thread_id();
    parker_unpark(&meeting->here);
    CHECK_EQ(parker_park(&meeting->there, CLOCK_NEVER_NS), 0);
    CHECK(thread_id() == meeting->id);
}

Test(thread, has_an_id_that_no_other_living_thread_has, .timeout = 5)
{
    enum { COUNT = 8 };
    struct thread threads[COUNT];
    struct meeting meetings[COUNT];
    CHECK(thread_id() != 0);
    CHECK(thread_id() == thread_id());
    for (int i = 0; i < COUNT; i++) {
        parker_init(&meetings[i].here);
        parker_init(&meetings[i].there);
        CHECK_EQ(thread_start(&threads[i], NULL, meet, &meetings[i]), 0);
        CHECK_EQ(parker_park(&meetings[i].here, CLOCK_NEVER_NS), 0);
        CHECK(meetings[i].id != 0 && meetings[i].id != thread_id());
        for (int j = 0; j < i; j++)
            CHECK(meetings[i].id != meetings[j].id);
    }
    for (int i = 0; i < COUNT; i++) {
        parker_unpark(&meetings[i].there);
        thread_join(&threads[i]);
    }
}
