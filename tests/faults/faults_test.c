/*
 * The table, run: one test for each call, and in it one scene for each of the call's pairs.
 *
 * A pair is judged by what its scene's operations came to, by what is left afterwards (tasks, loops, operations, stacks, descriptors,
 * mappings, memory), and by the echo with which each scene ends. A pair whose fault never happened fails: it would prove nothing. A scene
 * that does not end is named by an alarm.
 */
#include "tests/support/test.h"

#include "tests/faults/table.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/oom.h"
#include "weft/status.h"

enum { SCENE_SECONDS_MAX = 20 };

extern size_t registry_count(void);
extern uint64_t loop_live_count(void);
extern uint64_t loop_unfinished_count(void);
extern uint64_t fiber_room_count(void);
extern uint64_t jobs_live_count(void);

static char pair_name[200];

static void hung(int number)
{
    static const char message[] = " does not end\n";
    (void)number;
    ssize_t count = write(2, pair_name, strlen(pair_name));
    count = write(2, message, sizeof(message) - 1);
    _exit(count > 0 ? 1 : 2);
}

static const char *error_name(enum shim_call call, int error)
{
    return call == SHIM_getaddrinfo ? gai_strerror(error) : strerrorname_np(error);
}

/* ---- what a pair has come to ------------------------------------------------------------------------------------------------------ */

#define PAIR_CHECK(claim, ...)                                                                                                             \
    do {                                                                                                                                   \
        if (!(claim)) {                                                                                                                    \
            char text[300];                                                                                                                \
            (void)snprintf(text, sizeof(text), __VA_ARGS__);                                                                               \
            test_fail("tests/faults/table.c", 0, "%s: %s", pair_name, text);                                                               \
        }                                                                                                                                  \
    } while (0)

static void check_statuses(const struct tally *tally, int expected)
{
    for (int i = 0; i < tally->failed && i < TALLY_MAX; i++)
        PAIR_CHECK(tally->statuses[i] == expected, "an operation failed with %s, not %s", weft_status_name(tally->statuses[i]),
                   weft_status_name(expected));
    PAIR_CHECK(tally->report_count == 0 || tally->report_status == expected, "%s was reported, not %s",
               weft_status_name(tally->report_status), weft_status_name(expected));
}

static void check_outcome(const struct tally *tally, const struct fault_error *error, uint64_t fired)
{
    int expected = error->status != 0 ? error->status : -error->error;
    PAIR_CHECK(fired > 0, "it never happened");
    PAIR_CHECK(tally->has_echoed, "there was no echo afterwards");
    check_statuses(tally, expected);
    switch (error->outcome) {
    case UNSEEN:
        PAIR_CHECK(tally->report_count == 0, "%s was reported, and should be nobody's", weft_status_name(tally->report_status));
        PAIR_CHECK(tally->failed == 0, "an operation failed with %s, and should not", weft_status_name(tally->statuses[0]));
        break;
    case FAILS:
        PAIR_CHECK(tally->failed > 0, "no operation failed");
        break;
    case REPORTED:
        PAIR_CHECK(tally->failed == 0, "an operation failed with %s, and should not", weft_status_name(tally->statuses[0]));
        PAIR_CHECK(tally->report_count > 0, "nothing was reported");
        break;
    case MAY_FAIL:
        break;
    }
    PAIR_CHECK((uint64_t)tally->failed <= fired, "%d operations failed by %" PRIu64 " faults", tally->failed, fired);
}

/* ---- what may not be left ---------------------------------------------------------------------------------------------------------- */

struct books {
    int descriptors;
    int64_t memory;
    int64_t mappings;
};

static struct books books_read(void)
{
    return (struct books){test_descriptor_count(), oom_live(), shim_mapping_count()};
}

/* What an unmap has refused to let go is no leak of ours. */
static void books_check(const struct books *before, uint64_t refused)
{
    struct books after = books_read();
    PAIR_CHECK(after.descriptors == before->descriptors, "%d descriptors, and %d before", after.descriptors, before->descriptors);
    PAIR_CHECK(after.memory == before->memory, "%" PRId64 " allocations are left", after.memory - before->memory);
    PAIR_CHECK(after.mappings == before->mappings + (int64_t)refused, "%" PRId64 " mappings are left", after.mappings - before->mappings);
    PAIR_CHECK(registry_count() == 0, "%zu tasks are left", registry_count());
    PAIR_CHECK(loop_live_count() == 0, "%" PRIu64 " loops are left", loop_live_count());
    PAIR_CHECK(loop_unfinished_count() == 0, "a loop closed over operations");
    PAIR_CHECK(fiber_room_count() == 0 && jobs_live_count() == 0, "stacks are left");
}

/* ---- the run ----------------------------------------------------------------------------------------------------------------------- */

static void pair_run(const struct fault_group *group, const struct fault_error *error, const struct fault_when *when)
{
    struct tally tally = {0};
    struct shim_rule rule = {group->call, group->selector, error->error, when->first, when->step};
    struct books before = books_read();
    (void)snprintf(pair_name, sizeof(pair_name), "%s (%s) fails with %s, number %u, then each %u, in %s", shim_call_name(group->call),
                   group->selector_name, error_name(group->call, error->error), when->first, when->step, group->scene_name);
    (void)alarm(SCENE_SECONDS_MAX);
    shim_start(&rule);
    group->scene(&tally);
    uint64_t fired = shim_stop();
    (void)alarm(0);
    check_outcome(&tally, error, fired);
    books_check(&before, group->call == SHIM_munmap ? fired : 0);
}

/* What the process keeps for good once it has run a task, or looked a name up. */
static void warm_up(void)
{
    struct tally tally = {0};
    oom_install();
    scene_end_anew(&tally);
    scene_dial_name(&tally);
    scene_covered(&tally); /* this thread keeps its signal stack */
    (void)scene_path();
}

/*
 * clang's sanitizers are linked into the program, so that their own calls go through the shim, and they do not survive these. And qemu 7.2
 * knows no epoll_pwait2 and no guard marks, so that these are called once, and never again.
 */
static bool is_anothers(enum shim_call call)
{
#if TEST_TSAN
    return call == SHIM_pthread_setspecific || call == SHIM_pthread_attr_setstacksize;
#elif TEST_ASAN && defined(__clang__)
    return call == SHIM_pthread_setspecific || call == SHIM_sigaltstack;
#elif TEST_EMULATED
    return call == SHIM_epoll_pwait2 || call == SHIM_madvise;
#else
    (void)call;
    return false;
#endif
}

static void call_run(enum shim_call call)
{
    size_t count = 0;
    if (is_anothers(call)) {
        printf("%-28s skipped: see is_anothers()\n", shim_call_name(call));
        return;
    }
    (void)signal(SIGALRM, hung);
    warm_up();
    for (size_t i = 0; i < fault_group_count; i++) {
        const struct fault_group *group = &fault_groups[i];
        if (group->call != call)
            continue;
        for (const struct fault_error *error = group->errors; error->error != 0; error++)
            for (const struct fault_when *when = group->whens; when->first != 0; when++, count++)
                pair_run(group, error, when);
    }
    CHECK_EQ(count, fault_pair_count(call));
    CHECK(count > 0);
    printf("%-28s %4zu pairs\n", shim_call_name(call), count);
}

#define FAULTS_TEST(call)                                                                                                                  \
    Test(faults, of_##call##_are_survived, .timeout = 120)                                                                                 \
    {                                                                                                                                      \
        call_run(SHIM_##call);                                                                                                             \
    }

SHIM_CALLS(FAULTS_TEST)

/* Each pair is run by one of the tests above, and has happened there. */
Test(faults, are_at_least_three_hundred_pairs, .timeout = 5)
{
    size_t in_all_ways, count = fault_distinct_count(&in_all_ways);
    printf("%zu pairs of a call and an error, %zu of them the first time, the n-th and each k-th\n", count, in_all_ways);
    printf("%zu with scene, selector and when, of %d calls\n", fault_pair_count(SHIM_CALL_COUNT), SHIM_CALL_COUNT);
    CHECK(count >= 300);
    CHECK_EQ(in_all_ways, count - 1); /* a key that was made is not asked for again: there is no n-th pthread_key_create() */
}
