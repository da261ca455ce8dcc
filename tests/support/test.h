/*
 * Tests: one spelling of a test for two harnesses.
 *
 *     Test(deque, takes_the_oldest_first, .timeout = 5)
 *     {
 *         CHECK_EQ(deque_count(&deque), 3);
 *     }
 *
 * Normally Criterion runs it. It cannot start under ThreadSanitizer, MemorySanitizer does not know it, and there is none for other
 * machines: there (WEFT_TEST_PLAIN) the same body runs under the main of plain.c. Either way each test has a process of its own. A
 * check that fails ends that process from whatever thread or fiber it is on, so nothing unwinds and nothing runs after it.
 *
 * When a body has returned, the functions given to test_fini() are called. Then, of what the program links, there may be no task
 * registered, no loop (which every handle, future and transport holds), no operation under way and no stack in use; and the test must
 * hold as many file descriptors as it began with. Under AddressSanitizer it must not have leaked memory either.
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/sanitizer.h"

#if defined(WEFT_TEST_PLAIN)
#include "tests/support/plain.h"
#else
#include <criterion/criterion.h>
#endif

/* The options after the name are designated: .timeout (seconds), .init, .fini, .signal and .exit_code (expected ends), .disabled. */
#undef Test
#define Test(suite, ...) TEST_DEFINE(suite, __VA_ARGS__, .sentinel_ = 0)

#if defined(WEFT_TEST_PLAIN)
#define TEST_REGISTER(suite, name, ...) PLAIN_TEST(suite, name, __VA_ARGS__)
#else
#define TEST_REGISTER(suite, name, ...) CR_EXPAND(CR_TEST_BASE(suite, name, __VA_ARGS__))
#endif

#define TEST_DEFINE(suite, name, ...)                                                                                                      \
    static void suite##_##name##_body(void);                                                                                               \
    TEST_REGISTER(suite, name, __VA_ARGS__)                                                                                                \
    {                                                                                                                                      \
        test_run(suite##_##name##_body);                                                                                                   \
    }                                                                                                                                      \
    static void suite##_##name##_body(void)

/* Fail the test and leave it unless the claim holds. Each argument is evaluated once. Any thread, any fiber. */
#define CHECK(claim)                ((claim) ? (void)0 : test_fail(__FILE__, __LINE__, "not so: %s", #claim))
#define CHECK_EQ(actual, expected)  test_check_eq((int64_t)(actual), (int64_t)(expected), #actual, __FILE__, __LINE__)
#define CHECK_STR(actual, expected) test_check_str((actual), (expected), #actual, __FILE__, __LINE__)

/*
 * Have `verify` called whenever a test's body has returned: in this test when called from a body, in every test of the program
 * when called from a constructor (see TEST_FINI). The last one given is called first.
 */
void test_fini(void (*verify)(void));

/* `verify` for every test of this program, written at file level. */
#define TEST_FINI(verify)                                                                                                                  \
    __attribute__((constructor)) static void verify##_registered(void)                                                                     \
    {                                                                                                                                      \
        test_fini(verify);                                                                                                                 \
    }

/* This test may end with other descriptors than it began with, for the reason that the caller gives beside the call. */
void test_ignore_descriptors(void);

/* This test may leave stacks in use, likewise. */
void test_ignore_stacks(void);

/* How many descriptors this process holds. */
int test_descriptor_count(void);

void test_run(void (*body)(void));
_Noreturn void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void test_check_eq(int64_t actual, int64_t expected, const char *text, const char *file, int line);
void test_check_str(const char *actual, const char *expected, const char *text, const char *file, int line);

#endif
