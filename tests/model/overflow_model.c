/*
 * Models of who is told of a stack overflow: a fault in one thread while another installs.
 *
 * lib/task/overflow.c is real, with counters that are about to wrap. Every address lies in a guard, and the handler from before is the
 * model's.
 */
#include "lib/task/overflow.h"

#include <signal.h>

#include "lib/base/fork.h"
#include "lib/base/signal_stack.h"
#include "lib/loop/loop.h"
#include "lib/task/overflow.c" /* for its counters' sake */
#include "lib/task/stack_map.h"
#include "tests/model/checker.h"
#include "weft/atomic.h"
#include "weft/fiber.h"

typedef void handler_fn(int number, siginfo_t *info, void *context);

static handler_fn *handler;       /* atomic: ours for SIGSEGV, once it was installed */
static unsigned lines, handed_on; /* atomic */
static unsigned stacks;
static struct argument {
    unsigned tag;
} argument;

static void before_us(int number)
{
    MODEL_CHECK(number == SIGSEGV);
    (void)weft_atomic_add_relaxed(&handed_on, 1);
}

static struct sigaction present[2] = {{.sa_handler = before_us}, {.sa_handler = before_us}};

/* Called under the lock. */
int sigaction(int number, const struct sigaction *action, struct sigaction *before_out)
{
    if (before_out != NULL)
        *before_out = present[number == SIGBUS];
    if (action == NULL)
        return 0;
    present[number == SIGBUS] = *action;
    if (number == SIGSEGV && action->sa_handler != before_us)
        weft_atomic_store_release(&handler, action->sa_sigaction);
    return 0;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *before_out)
{
    (void)how, (void)set, (void)before_out;
    return 0;
}

ssize_t write(int fd, const void *buf, size_t bytes)
{
    (void)fd, (void)buf;
    (void)weft_atomic_add_relaxed(&lines, 1);
    return (ssize_t)bytes;
}

bool stack_map_find(uintptr_t addr, struct stack_place *place_out)
{
    *place_out = (struct stack_place){.slab = addr, .stack_bytes = 1, .low = addr + 1, .is_guard = true};
    return true;
}

bool signal_stack_ensure(void)
{
    stacks++;
    return true;
}

int fork_watch_add(struct fork_watch *watch)
{
    (void)watch;
    return 0;
}

struct weft_loop *weft_get_running_loop(void)
{
    return NULL;
}

/* ---- the model -------------------------------------------------------------------------------------------------------------------------- */

static unsigned told; /* atomic */

static void tell_one(const struct weft_stack_overflow *overflow, void *arg)
{
    (void)overflow;
    MODEL_CHECK(arg == &argument && argument.tag == 1);
    (void)weft_atomic_add_relaxed(&told, 1);
}

/* As after very many installs. `versions` are left until the version wraps, two for each install and each removal that leaves nobody. */
static void wrap_after(uint32_t versions)
{
    tell_version = UINT32_MAX - versions + 1;
    overflow_epoch = UINT32_MAX;
}

static void setup_first(void)
{
    wrap_after(2);
}

static void setup(void)
{
    wrap_after(4);
    MODEL_CHECK(weft_stack_overflow_install(NULL, NULL) == 0);
}

static void install(void)
{
    argument.tag = 1;
    MODEL_CHECK(weft_stack_overflow_install(tell_one, &argument) == 0);
}

static void install_swapped(void)
{
    MODEL_CHECK(weft_stack_overflow_install(tell_one, &argument) == 0);
    argument.tag = 1;
}

/* Goes, and another comes who is told with an argument of his own. */
static struct argument other;

static void tell_other(const struct weft_stack_overflow *overflow, void *arg)
{
    (void)overflow;
    MODEL_CHECK(arg == &other && other.tag == 2);
    (void)weft_atomic_add_relaxed(&told, 1);
}

static void setup_installed(void)
{
    wrap_after(4);
    argument.tag = 1;
    MODEL_CHECK(weft_stack_overflow_install(tell_one, &argument) == 0);
}

static void change(void)
{
    weft_stack_overflow_remove();
    other.tag = 2;
    MODEL_CHECK(weft_stack_overflow_install(tell_other, &other) == 0);
}

static void leave(void)
{
    weft_stack_overflow_remove();
}

/* Whether it is told or not, it is with the right argument. */
static void check_handed_on(void)
{
    MODEL_CHECK(told + lines <= 1 && handed_on == 1);
}

static void fault(void)
{
    siginfo_t info = {.si_code = SEGV_MAPERR};
    weft_atomic_load_acquire (&handler)(SIGSEGV, &info, NULL);
}

/* The very first install: a fault before it is not ours. */
static void install_first(void)
{
    MODEL_CHECK(weft_stack_overflow_install(NULL, NULL) == 0);
}

static unsigned handled_count;

static void fault_if_handled(void)
{
    if (weft_atomic_load_acquire(&handler) == NULL)
        return;
    handled_count++;
    fault();
}

static void check_first(void)
{
    MODEL_CHECK(handed_on == handled_count);
}

/* As context_here() in lib/task/fiber.c. */
static void cover(void)
{
    uint32_t epoch = weft_atomic_load_acquire(&overflow_epoch);
    overflow_cover_thread();
    MODEL_CHECK(epoch == UINT32_MAX || stacks == 1);
}

static void check(void)
{
    MODEL_CHECK(told + lines == 1 && handed_on == 1);
}

/* Of two faults each is told of by a line or the new one, and handed on. */
static void check_two(void)
{
    MODEL_CHECK(told + lines == 2 && handed_on == 2);
}

static const struct model models[] = {
    {.name = "install",
     .about = "a fault beside an install writes a line or tells the new one, with its argument and what that leads to",
     .setup = setup,
     .threads = {install, fault},
     .check = check},
    {.name = "leave",
     .about = "a fault beside a removal tells the one who goes with his argument, or nobody",
     .setup = setup_installed,
     .threads = {leave, fault},
     .check = check_handed_on},
    {.name = "change",
     .about = "nobody is told with another's argument while one goes and the next comes",
     .setup = setup_installed,
     .threads = {change, fault},
     .check = check_handed_on},
    {.name = "first",
     .about = "a fault beside the first install is handed on",
     .setup = setup_first,
     .threads = {install_first, fault_if_handled},
     .check = check_first},
    {.name = "two_faults",
     .about = "two faults beside an install are both told of, whichever comes first",
     .setup = setup,
     .threads = {install, fault, fault},
     .check = check_two,
     .bound = 2},
    {.name = "cover",
     .about = "who sees the epoch of an install is covered by it, over one that wraps",
     .setup = setup_first,
     .threads = {install_first, cover}},
};

static const struct model_equivalent equivalent[] = {
    {"overflow.c:set_tell:store_release#3>late", "the version is odd for one step more, and a fault in that step writes a line"},
    {"overflow.c:set_tell:store_release#1>late", "the argument is stored before the function then: either brings the odd version"},
    {NULL, NULL},
};

static const struct model broken[] = {
    {.name = "install_swapped",
     .about = "one who installs before his argument is ready",
     .setup = setup,
     .threads = {install_swapped, fault},
     .check = check},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/overflow.c"},
                                             .equivalent = equivalent};
    return model_main(&suite, argc, argv);
}
