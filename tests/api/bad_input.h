/*
 * Bad input: what every public call says to a NULL that its contract does not allow, and to what is out of range or over.
 *
 * A call with a status refuses, one without says false, 0 or NULL; in both cases no memory is taken or let go. oom_install() comes first.
 * calls_test.py compares the files that include this with the headers: a call that takes a pointer and is in none of them fails it.
 */
#ifndef TESTS_API_BAD_INPUT_H
#define TESTS_API_BAD_INPUT_H

#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/status.h"

static inline void check_refusal(const char *text, const char *file, int line, int status, int expected, int64_t leaked)
{
    if (status >= 0 || (expected != 0 && status != expected))
        test_fail(file, line, "%s says %s", text, weft_status_name(status));
    if (leaked != 0)
        test_fail(file, line, "%s leaves %d allocations", text, (int)leaked);
}

/* The call says `expected` (0: any status below 0) and leaves as much memory in use as there was. */
#define SAYS(expected, call)                                                                                                               \
    do {                                                                                                                                   \
        int64_t live_before = oom_live();                                                                                                  \
        int call_status = (call);                                                                                                          \
        check_refusal(#call, __FILE__, __LINE__, call_status, (expected), oom_live() - live_before);                                       \
    } while (0)
#define REFUSES(call) SAYS(0, call)

/* The question is answered with false, 0 or NULL. */
#define DENIES(call)                                                                                                                       \
    do {                                                                                                                                   \
        int64_t live_before = oom_live();                                                                                                  \
        CHECK(!(call));                                                                                                                    \
        CHECK_EQ(oom_live() - live_before, 0);                                                                                             \
    } while (0)

/* The call has nobody to tell, and does nothing. */
#define IGNORES(call)                                                                                                                      \
    do {                                                                                                                                   \
        int64_t live_before = oom_live();                                                                                                  \
        (call);                                                                                                                            \
        CHECK_EQ(oom_live() - live_before, 0);                                                                                             \
    } while (0)

#endif
