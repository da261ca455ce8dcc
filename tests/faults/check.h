/*
 * What scenes ask of a harness: the claims of tests/support/test.h, of which this is the part that sample.c brings itself.
 */
#ifndef TESTS_FAULTS_CHECK_H
#define TESTS_FAULTS_CHECK_H

#include <stdint.h>

#ifndef CHECK
#define CHECK(claim)               ((claim) ? (void)0 : test_fail(__FILE__, __LINE__, "not so: %s", #claim))
#define CHECK_EQ(actual, expected) test_check_eq((int64_t)(actual), (int64_t)(expected), #actual, __FILE__, __LINE__)
#endif

void test_fini(void (*verify)(void));
_Noreturn void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void test_check_eq(int64_t actual, int64_t expected, const char *text, const char *file, int line);

#endif
