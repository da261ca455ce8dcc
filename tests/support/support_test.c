/*
 * The harness itself: a check that fails must fail the test, from wherever it is, and a deadline must be kept.
 */
#include "tests/support/test.h"
#include "tests/support/wait.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "weft/atomic.h"

static int flag;

static void *raise_flag(void *arg)
{
    weft_atomic_store_relaxed((int *)arg, 1);
    return NULL;
}

static void *fail_here(void *arg)
{
    (void)arg;
    CHECK(!"failed in a thread");
    return NULL;
}

static bool is_raised(void *arg)
{
    return weft_atomic_load_relaxed((int *)arg) == 1;
}

static void refuse(void)
{
    CHECK_EQ(1, 2);
}

static void accept_it(void)
{
    CHECK_EQ(flag, 1);
}

Test(support, passes_what_holds, .timeout = 5)
{
    CHECK(1 + 1 == 2);
    CHECK_EQ(-3, -3);
    CHECK_STR("weft", "weft");
}

Test(support, fails_a_false_claim, .timeout = 5, .exit_code = 1)
{
    CHECK(1 + 1 == 3);
}

Test(support, fails_another_number, .timeout = 5, .exit_code = 1)
{
    CHECK_EQ(4, 5);
}

Test(support, fails_another_string, .timeout = 5, .exit_code = 1)
{
    CHECK_STR("weft", NULL);
}

Test(support, fails_from_another_thread, .timeout = 5, .exit_code = 1)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, fail_here, NULL), 0);
    pthread_join(thread, NULL);
}

Test(support, ends_with_the_functions_given, .timeout = 5)
{
    test_fini(accept_it);
    flag = 1;
}

Test(support, fails_when_a_verifier_does, .timeout = 5, .exit_code = 1)
{
    test_fini(refuse);
}

Test(support, fails_when_a_descriptor_stays_open, .timeout = 5, .exit_code = 1)
{
    CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

Test(support, lets_a_descriptor_stay_when_told, .timeout = 5)
{
    test_ignore_descriptors();
    CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

#if TEST_ASAN

static void *volatile hidden;

static __attribute__((noinline)) void leak(void)
{
    hidden = malloc(48);
    hidden = NULL;
}

/* So that no copy of the pointer is left in a register or on the stack. */
static __attribute__((noinline)) void overwrite_stack(void)
{
    volatile char room[4096];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

Test(support, fails_when_memory_leaks, .timeout = 20, .exit_code = 1)
{
    leak();
    overwrite_stack();
}

#endif

Test(support, expects_the_signal_named, .timeout = 5, .signal = SIGABRT)
{
    abort();
}

Test(wait, sees_what_another_thread_did, .timeout = 5)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, raise_flag, &flag), 0);
    CHECK(wait_until(is_raised, &flag, 4000));
    pthread_join(thread, NULL);
}

Test(wait, gives_up_at_the_deadline, .timeout = 5)
{
    CHECK(!wait_until(is_raised, &flag, 1));
}
