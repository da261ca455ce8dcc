/*
 * A main for tests where Criterion cannot start. Each test runs in a child of its own under an alarm; the parent has one thread and
 * counts. Prints a line per failure, then "N passed, N failed". Arguments: --filter=suite/name (a glob), --list, --no-fork.
 */
#include "tests/support/plain.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/sanitizer.h"

static struct plain_test *first;
static struct plain_test **last = &first;

struct arguments {
    const char *filter;
    bool is_listing;
    bool is_forkless;
};

void plain_register(struct plain_test *test)
{
    *last = test;
    last = &test->next;
}

static void run_here(const struct plain_test *test)
{
    const struct plain_options *options = &test->options;
    if (options->init)
        options->init();
    test->run();
    if (options->fini)
        options->fini();
}

/* Under an emulator everything takes as many times longer. */
enum { TIMEOUT_SCALE = TEST_EMULATED ? 10 : 1 };

static void run_child(const struct plain_test *test)
{
    double seconds = test->options.timeout * TIMEOUT_SCALE;
    struct itimerval timer = {.it_value = {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)}};
    if (seconds > 0)
        setitimer(ITIMER_REAL, &timer, NULL);
    run_here(test);
    exit(0);
}

static void report(const struct plain_test *test, int status)
{
    fprintf(stderr, "[FAIL] %s/%s: ", test->suite, test->name);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        fprintf(stderr, "timed out after %g s\n", test->options.timeout * TIMEOUT_SCALE);
    else if (WIFSIGNALED(status))
        fprintf(stderr, "killed by %s\n", strsignal(WTERMSIG(status)));
    else
        fprintf(stderr, "exit status %d\n", WEXITSTATUS(status));
}

static bool is_expected(const struct plain_options *options, int status)
{
    if (options->signal)
        return WIFSIGNALED(status) && WTERMSIG(status) == options->signal;
    return WIFEXITED(status) && WEXITSTATUS(status) == options->exit_code;
}

static bool run_forked(const struct plain_test *test)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (!pid)
        run_child(test);
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    bool is_passed = is_expected(&test->options, status);
    if (!is_passed)
        report(test, status);
    return is_passed;
}

static bool is_selected(const struct plain_test *test, const struct arguments *arguments)
{
    char id[256];
    snprintf(id, sizeof id, "%s/%s", test->suite, test->name);
    bool is_match = !test->options.disabled && (!arguments->filter || !fnmatch(arguments->filter, id, 0));
    if (is_match && arguments->is_listing)
        puts(id);
    return is_match && !arguments->is_listing;
}

static struct arguments parse(char **argv)
{
    struct arguments arguments = {0};
    while (*++argv) {
        if (!strncmp(*argv, "--filter=", 9)) {
            arguments.filter = *argv + 9;
        } else if (!strcmp(*argv, "--filter") && argv[1]) {
            arguments.filter = *++argv;
        } else if (!strcmp(*argv, "--list")) {
            arguments.is_listing = true;
        } else if (!strcmp(*argv, "--no-fork")) {
            arguments.is_forkless = true;
        } else {
            fprintf(stderr, "unknown argument: %s\n", *argv);
            exit(2);
        }
    }
    return arguments;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct arguments arguments = parse(argv);
    int passed = 0;
    int failed = 0;
    for (struct plain_test *test = first; test; test = test->next) {
        if (!is_selected(test, &arguments))
            continue;
        if (arguments.is_forkless) {
            run_here(test);
            passed++;
        } else if (run_forked(test)) {
            passed++;
        } else {
            failed++;
        }
    }
    if (!arguments.is_listing)
        printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
