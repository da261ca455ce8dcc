/*
 * What the tests of stack overflows have in common. All but the checks is for children.
 */
#include "tests/limits/overflow.h"

#include <signal.h>
#include <stdio.h>

#include "weft/future.h"

struct weft_runtime *overflow_runtime;

OVERFLOW_NOINLINE int overflow_recurse(int depth)
{
    volatile char frame[100];
    frame[depth & 63] = (char)depth;
    return depth < 0 ? 0 : overflow_recurse(depth + 1) + frame[depth & 63];
}

int overflow_nothing(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

int overflow_wait(void *arg, void **result_out)
{
    return weft_await(arg, result_out);
}

struct weft_task *overflow_task_here(void)
{
    struct weft_task *task = NULL;
    CHILD_CHECK(weft_current_task(&task) == 0);
    return task;
}

struct weft_runtime_options overflow_options(uint32_t loops)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = loops;
    options.flags = WEFT_RUNTIME_HANDLE_STACK_OVERFLOW;
    return options;
}

struct named {
    weft_fiber_fn *fn;
    const char *name;
};

static int named_main(void *arg, void **result_out)
{
    struct named *named = arg;
    CHILD_CHECK(weft_task_set_name(overflow_task_here(), named->name) == 0);
    return named->fn(NULL, result_out);
}

void overflow_run_options(const struct weft_runtime_options *options, enum weft_stack_class stack, weft_fiber_fn *fn, const char *name)
{
    struct named named = {fn, name};
    struct weft_fiber_options fiber_options = WEFT_FIBER_OPTIONS;
    struct weft_coro *coro;
    fiber_options.stack = stack;
    CHILD_CHECK(weft_runtime_create(options, &overflow_runtime) == 0);
    CHILD_CHECK(weft_fiber_new(named_main, &named, &fiber_options, &coro) == 0);
    (void)weft_runtime_run(overflow_runtime, coro, NULL);
    weft_runtime_destroy(overflow_runtime);
}

void overflow_run_named(uint32_t loops, enum weft_stack_class stack, weft_fiber_fn *fn, const char *name)
{
    struct weft_runtime_options options = overflow_options(loops);
    overflow_run_options(&options, stack, fn, name);
}

void overflow_run(uint32_t loops, enum weft_stack_class stack, weft_fiber_fn *fn)
{
    overflow_run_named(loops, stack, fn, OVERFLOW_NAME);
}

void overflow_check_told(const struct child_end *end, size_t stack_bytes)
{
    char last[64];
    (void)snprintf(last, sizeof(last), " lies below its stack of %zu bytes\n", stack_bytes);
    child_check_signal(end, SIGSEGV);
    if (child_count(end, "weft: stack overflow in task ") != 1 || child_count(end, " \"" OVERFLOW_NAME "\": 0x") != 1 ||
        child_count(end, last) != 1)
        test_fail(__FILE__, __LINE__, "a stack of %zu bytes, and the child said: %s", stack_bytes, end->text);
}

void overflow_check_untold(const struct child_end *end)
{
    child_check_signal(end, SIGSEGV);
    CHECK_STR(end->text, "");
}
