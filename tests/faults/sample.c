/*
 * One scene as a program, for strace to let its system calls fail, or for the shim to do the same: what its operations came to is printed.
 *
 *     sample SCENE                                   what the kernel says, or whoever stands before it
 *     sample SCENE CALL SELECTOR ERRNO FIRST STEP    the same with a rule of the shim's; -1 is any selector
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/faults/scene.h"
#include "tests/faults/shim.h"
#include "tests/support/wait.h"

/* The harness is not in this program: what the scenes ask of it. */
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    va_end(args);
    _exit(1);
}

void test_check_eq(int64_t actual, int64_t expected, const char *text, const char *file, int line)
{
    if (actual == expected)
        return;
    fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", file, line, text, (long long)actual, (long long)expected);
    _exit(1);
}

static void (*at_end)(void);

void test_fini(void (*verify)(void))
{
    at_end = verify;
}

static int call_of(const char *name)
{
    for (int call = 0; call < SHIM_CALL_COUNT; call++)
        if (strcmp(shim_call_name((enum shim_call)call), name) == 0)
            return call;
    test_fail(name, 0, "no such call");
}

static void start_rule(char **words)
{
    struct shim_rule rule = {(enum shim_call)call_of(words[0]), atoi(words[1]), atoi(words[2]), (uint32_t)atoi(words[3]),
                             (uint32_t)atoi(words[4])};
    shim_start(&rule);
}

int main(int count, char **words)
{
    struct tally tally = {0};
    scene_fn *scene = count == 2 || count == 7 ? scene_find(words[1]) : NULL;
    if (scene == NULL)
        return 2;
    (void)alarm(20);
    if (count == 7)
        start_rule(words + 2);
    scene(&tally);
    printf("%d done, %d failed", tally.done, tally.failed);
    for (int i = 0; i < tally.failed && i < TALLY_MAX; i++)
        printf(" %s", weft_status_name(tally.statuses[i]));
    printf(", %d reported %s, %s\n", tally.report_count, weft_status_name(tally.report_status), tally.has_echoed ? "echoed" : "silent");
    if (at_end != NULL)
        at_end();
    return tally.has_echoed ? 0 : 1;
}
