/*
 * Drives the sweeps. The child that runs a scenario writes into shared memory what it is about to do, so that the parent can tell how to
 * do that again whatever has become of the child.
 */
#include "tests/sweep/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/oom.h"
#include "tests/support/test.h"

/* A scenario that takes so long hangs. */
enum { SCENARIO_SECONDS_MAX = 120 };

static const char *const mode_names[FAULT_MODES] = {
    [FAULT_NONE] = "none",
    [REFUSE_ONE] = "refuse-one",
    [REFUSE_FROM] = "refuse-from",
    [CANCEL_WAITING] = "cancel-waiting",
    [CANCEL_SUSPENDING] = "cancel-suspending",
    [CANCEL_TWICE] = "cancel-twice",
    [CANCEL_CLEANUP] = "cancel-cleanup",
    [CANCEL_ALWAYS] = "cancel-always",
    [CANCEL_STARVED] = "cancel-starved",
};

/* Shared with the child. */
struct progress {
    struct fault fault;
    uint64_t faults; /* met so far */
};

/* WEFT_SWEEP taken apart. Empty: everything. */
struct selection {
    char name[64];
    char mode[32];
    uint64_t n; /* 0: each */
};

static struct selection selection;

static void read_selection(void)
{
    const char *text = getenv("WEFT_SWEEP");
    if (text != NULL)
        (void)sscanf(text, "%63[^:]:%31[^:]:%" SCNu64, selection.name, selection.mode, &selection.n);
}

static bool is_selected(const struct scenario *scenario, enum fault_mode mode)
{
    if (selection.name[0] != '\0' && strcmp(selection.name, scenario->name) != 0)
        return false;
    return selection.mode[0] == '\0' || strcmp(selection.mode, mode_names[mode]) == 0;
}

/* ---- in the child ---------------------------------------------------------------------------------------------------------------- */

/* Run with `fault`. False once there is no such allocation or suspension any more. */
static bool run_fault(const struct scenario *scenario, struct fault fault, struct progress *progress)
{
    struct stage stage;
    bool is_refusal = fault.mode <= REFUSE_FROM;
    progress->fault = fault;
    stage_run(&stage, scenario, fault);
    progress->faults += is_refusal ? stage.was_refused : stage.requests > 0; /* a stolen task may end before the request comes */
    return is_refusal ? stage.was_refused : stage.suspensions >= fault.n;
}

static void sweep_mode(const struct scenario *scenario, enum fault_mode mode, struct progress *progress)
{
    if (!is_selected(scenario, mode))
        return;
    if (selection.n != 0) {
        (void)run_fault(scenario, (struct fault){mode, selection.n}, progress);
        return;
    }
    uint64_t n = 1;
    while (run_fault(scenario, (struct fault){mode, n}, progress))
        n++;
}

static int nothing(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

/* What the process keeps for good, the registry of tasks, is made at its first use. */
static void warm_up(void)
{
    struct weft_coro *coro;
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = 1;
    CHECK_EQ(weft_fiber_new(nothing, NULL, NULL, &coro), 0);
    CHECK_EQ(weft_run(coro, &options, NULL), 0);
}

/* Two runs must be alike, or the n-th of anything would mean nothing. */
static void run_unharmed(const struct scenario *scenario)
{
    struct stage first, second;
    const struct fault none = {FAULT_NONE, 0};
    stage_run(&first, scenario, none);
    stage_run(&second, scenario, none);
    if ((scenario->flags & HAS_THREADS) != 0)
        return;
    CHECK_EQ(second.allocations, first.allocations);
    CHECK_EQ(second.suspensions, first.suspensions);
}

static const struct scenario *current;
static struct progress *shared;
static enum fault_mode first_mode, last_mode;

static void sweep_scenario(void)
{
    oom_install();
    warm_up();
    shared->fault = (struct fault){FAULT_NONE, 0};
    run_unharmed(current);
    for (int mode = first_mode; mode <= (int)last_mode; mode++)
        sweep_mode(current, (enum fault_mode)mode, shared);
}

/* ---- in the parent --------------------------------------------------------------------------------------------------------------- */

static const char *describe(int status, char *buf, size_t len)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(buf, len, "hangs");
    else if (WIFSIGNALED(status))
        snprintf(buf, len, "was killed by %s", strsignal(WTERMSIG(status)));
    else
        snprintf(buf, len, "failed, see above");
    return buf;
}

static bool run_child(const struct scenario *scenario)
{
    char buf[128];
    int status;
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(SCENARIO_SECONDS_MAX);
        current = scenario;
        test_run(sweep_scenario);
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0)
        CHECK_EQ(errno, EINTR);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    const char *mode = mode_names[shared->fault.mode];
    fprintf(stderr, "scenario %s, mode %s, n %" PRIu64 ": %s\n", scenario->name, mode, shared->fault.n, describe(status, buf, sizeof(buf)));
    fprintf(stderr, "again: tools/bazel test //tests/sweep/... --test_env=WEFT_SWEEP=%s:%s:%" PRIu64 "\n", scenario->name, mode,
            shared->fault.n);
    return false;
}

static void sweep(const struct room *room, const char *verb)
{
    size_t failed = 0, run = 0;
    read_selection();
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    for (size_t i = 0; i < room->count; i++) {
        const struct scenario *scenario = &room->scenarios[i];
        if (selection.name[0] != '\0' && strcmp(selection.name, scenario->name) != 0)
            continue;
        uint64_t before = shared->faults;
        run++;
        failed += !run_child(scenario);
        printf("%-40s %s %" PRIu64 " times\n", scenario->name, verb, shared->faults - before);
    }
    printf("%zu scenarios, %s %" PRIu64 " times\n", run, verb, shared->faults);
    fflush(stdout);
    (void)munmap(shared, sizeof(*shared));
    CHECK_EQ(failed, 0);
}

void sweep_refusals(const struct room *room)
{
    first_mode = REFUSE_ONE;
    last_mode = REFUSE_FROM;
    sweep(room, "refused");
}

void sweep_cancellations(const struct room *room)
{
    first_mode = CANCEL_WAITING;
    last_mode = CANCEL_STARVED;
    sweep(room, "cancelled");
}
