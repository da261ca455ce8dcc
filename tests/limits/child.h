/*
 * Child processes of tests: what a body does to a process, its death included, stays in there.
 */
#ifndef TESTS_LIMITS_CHILD_H
#define TESTS_LIMITS_CHILD_H

#include <stdbool.h>
#include <stddef.h>

/* What a child left behind. */
struct child_end {
    int status;      /* as of waitpid() */
    char text[8192]; /* its standard error, cut to this */
};

enum { CHILD_MS_MAX = 50000, CHILD_RETURNED = 120, CHILD_LATE = 121 };

/* In a child: leave it, from whatever thread, with a line that says what was not so. */
#define CHILD_CHECK(claim) ((claim) ? (void)0 : child_give_up(__FILE__, __LINE__, #claim))

_Noreturn void child_give_up(const char *file, int line, const char *claim);

/*
 * Run `body(arg)` in a child, and wait for its end. A body that returns ends it with CHILD_RETURNED; one that takes longer than
 * CHILD_MS_MAX is killed, and the test fails. No child leaves a core.
 */
struct child_end child_run(void (*body)(void *arg), void *arg);

/* The child was ended by `signal`. Fails the test otherwise, and shows what the child said. */
void child_check_signal(const struct child_end *end, int signal);

/* The child ended with the exit status `code`. */
void child_check_exit(const struct child_end *end, int code);

/* Run `body(NULL)` in a child, which must return, and print what it said: its figures. */
void child_run_well(void (*body)(void *arg));

/* How often `needle` is in what the child said. */
int child_count(const struct child_end *end, const char *needle);

#endif
