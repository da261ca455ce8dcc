/*
 * What a test's body is wrapped in, and how it fails. Both harnesses link this; neither is known here.
 */
#include "tests/support/test.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if TEST_ASAN
#include <sanitizer/lsan_interface.h>
#endif

enum { VERIFIERS_MAX = 16 };

static void (*verifiers[VERIFIERS_MAX])(void);
static int verifier_count;
static bool is_ignoring_descriptors;
static bool is_ignoring_stacks;

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "%s:%d: %s\n", file, line, text);
    /* Not exit(): handlers would run beside threads that are still at work. */
    _exit(1);
}

#if !defined(WEFT_TEST_PLAIN)

/*
 * An optimised link throws away the sections that no code names, and Criterion's list of tests is one that it finds by looking: the
 * program would pass with no test at all. Here it is named. A program without a test does not link.
 */
extern char __start_cr_tst[], __stop_cr_tst[];

__attribute__((constructor)) static void require_tests(void)
{
    char *volatile start = __start_cr_tst;
    char *volatile stop = __stop_cr_tst;
    if (start == stop)
        test_fail(__FILE__, __LINE__, "no test in this program");
}

#endif

void test_check_eq(int64_t actual, int64_t expected, const char *text, const char *file, int line)
{
    if (actual != expected)
        test_fail(file, line, "%s is %" PRId64 ", not %" PRId64, text, actual, expected);
}

void test_check_str(const char *actual, const char *expected, const char *text, const char *file, int line)
{
    if (actual == expected)
        return;
    if (!actual || !expected || strcmp(actual, expected))
        test_fail(file, line, "%s is \"%s\", not \"%s\"", text, actual ? actual : "(null)", expected ? expected : "(null)");
}

void test_fini(void (*verify)(void))
{
    if (verifier_count == VERIFIERS_MAX)
        test_fail(__FILE__, __LINE__, "more than %d calls of test_fini()", VERIFIERS_MAX);
    verifiers[verifier_count++] = verify;
}

void test_ignore_descriptors(void)
{
    is_ignoring_descriptors = true;
}

void test_ignore_stacks(void)
{
    is_ignoring_stacks = true;
}

int test_descriptor_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        test_fail(__FILE__, __LINE__, "cannot read /proc/self/fd");
    int count = -1; /* the one that reads the folder */
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

#if TEST_ASAN

static int is_checking_leaks;

/* LeakSanitizer asks before each look. It is let look once, when a body is over: at exit it would find what the harness itself leaks. */
int __lsan_is_turned_off(void)
{
    return !is_checking_leaks;
}

static void check_leaks(void)
{
    is_checking_leaks = 1;
    if (__lsan_do_recoverable_leak_check())
        test_fail("at the end", 0, "the test leaks memory, see above");
    is_checking_leaks = 0;
}

#else

static void check_leaks(void)
{
}

#endif

/* lib/task's: how many tasks are registered. Not there in the programs that know no tasks. */
extern size_t registry_count(void) __attribute__((weak));

/* lib/loop's and lib/task's: what holds the rest. A handle, future or transport that is left keeps its loop; a stack in use, its room. */
extern uint64_t loop_live_count(void) __attribute__((weak));
extern uint64_t loop_unfinished_count(void) __attribute__((weak));
extern uint64_t fiber_room_count(void) __attribute__((weak));

/* lib/task's: job stacks that fibers, stolen jobs and queued assist items have. */
extern uint64_t jobs_live_count(void) __attribute__((weak));

/* An executor's thread lets go of a loop a moment after it has completed what the test waited for: it is given that moment. */
static void await_last_loop(void)
{
    const struct timespec moment = {0, 1000000};
    for (int i = 0; i < 2000 && loop_live_count != NULL && loop_live_count() != 0; i++)
        (void)nanosleep(&moment, NULL);
}

static void check_loops(void)
{
    await_last_loop();
    if (loop_unfinished_count != NULL && loop_unfinished_count() != 0)
        test_fail("at the end", 0, "a loop closed over operations that did not come home");
    if (loop_live_count != NULL && loop_live_count() != 0)
        test_fail("at the end", 0, "the test leaves %llu loops, or what holds them", (unsigned long long)loop_live_count());
    if (!is_ignoring_stacks && fiber_room_count != NULL && fiber_room_count() != 0)
        test_fail("at the end", 0, "the test leaves stacks in use");
    if (!is_ignoring_stacks && jobs_live_count != NULL && jobs_live_count() != 0)
        test_fail("at the end", 0, "the test leaves %llu job stacks in use", (unsigned long long)jobs_live_count());
}

static void check_tasks(void)
{
    if (registry_count != NULL && registry_count() != 0)
        test_fail("at the end", 0, "the test leaves %zu tasks registered", registry_count());
}

void test_run(void (*body)(void))
{
    int before = test_descriptor_count();
    body();
    for (int i = verifier_count; i-- > 0;)
        verifiers[i]();
    check_tasks();
    check_loops();
    int after = test_descriptor_count();
    if (after != before && !is_ignoring_descriptors)
        test_fail("at the end", 0, "the test holds %d file descriptors; it began with %d", after, before);
    check_leaks();
}
