/*
 * Scenarios of contexts: variables that own their values, in tasks, callbacks and tokens.
 */
#include <errno.h>

#include "tests/support/test.h"
#include "tests/sweep/sweep.h"
#include "weft/context.h"

static int owned; /* values that were handed over and not released yet */

static void release(void *value)
{
    (void)value;
    owned--;
}

static const struct weft_context_var plain = WEFT_CONTEXT_VAR("plain", NULL);
static const struct weft_context_var own = WEFT_CONTEXT_VAR_OWNED("own", NULL, release);

static int set_owned(void *value, struct weft_context_token *token_out)
{
    int status = weft_context_var_set(&own, value, token_out);
    owned += status == 0;
    return status;
}

/* A child sees what was set when it was made, and what it sets stays its own. */
static int child(void *arg, void **result_out)
{
    struct stage *stage = arg;
    (void)result_out;
    CHECK(weft_context_var_get(&plain) == stage);
    int status = set_owned(&stage->words[1], NULL);
    if (status == 0)
        status = weft_yield();
    CHECK(status < 0 || weft_context_var_get(&own) == &stage->words[1]);
    return status;
}

static int inherit(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_future *children[2];
    (void)result_out;
    int status = weft_context_var_set(&plain, stage, NULL);
    if (status == 0)
        status = set_owned(&stage->words[0], NULL);
    for (int i = 0; i < 2 && status == 0; i++)
        status = stage_fiber(stage, child, stage, &children[i]);
    for (int i = 0; i < 2 && status == 0; i++)
        status = weft_await(children[i], NULL);
    CHECK(status < 0 || weft_context_var_get(&own) == &stage->words[0]);
    return status;
}

static int set_and_reset(void *arg, void **result_out)
{
    struct stage *stage = arg;
    struct weft_context_token outer, inner;
    (void)result_out;
    int status = set_owned(&stage->words[0], &outer);
    if (status < 0)
        return status;
    status = weft_yield();
    if (status == 0 && (status = set_owned(&stage->words[1], &inner)) == 0) {
        status = weft_yield();
        int reset = weft_context_var_reset(&inner);
        CHECK(reset == 0 || reset == -ENOMEM);
        weft_context_token_drop(&inner);
        CHECK(reset < 0 || weft_context_var_get(&own) == &stage->words[0]);
        status = status < 0 ? status : reset;
    }
    int reset = weft_context_var_reset(&outer);
    weft_context_token_drop(&outer);
    return status < 0 ? status : reset;
}

static int in_context(void *arg)
{
    struct stage *stage = arg;
    int status = set_owned(&stage->words[2], NULL);
    return status < 0 ? status : weft_yield();
}

static int run_in_copy(void *arg, void **result_out)
{
    struct stage *stage = arg;
    (void)result_out;
    int status = weft_context_var_set(&plain, stage, NULL);
    if (status < 0)
        return status;
    struct weft_context *copy = weft_context_copy(weft_context_current());
    if (copy == NULL)
        return -ENOMEM;
    status = weft_context_run(copy, in_context, stage);
    if (status == 0)
        status = weft_loop_call_soon(stage->loop, count_call, &stage->words[3], copy, NULL);
    weft_context_unref(copy);
    CHECK(weft_context_var_get(&own) == NULL);
    if (status == 0)
        status = weft_yield();
    return status;
}

#define FOUR WEFT_CONTEXT_VAR("1", NULL), WEFT_CONTEXT_VAR("2", NULL), WEFT_CONTEXT_VAR("3", NULL), WEFT_CONTEXT_VAR("4", NULL)

enum { MANY = 40 };

/* More than one node of a map holds. */
static const struct weft_context_var many[MANY] = {FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR};

static int set_many(void *arg, void **result_out)
{
    struct stage *stage = arg;
    int status = 0;
    (void)result_out;
    for (size_t i = 0; i < MANY && status == 0; i++) {
        status = weft_context_var_set(&many[i], &stage->words[i % WORDS_MAX], NULL);
        if (status == 0 && i % 10 == 0)
            status = weft_yield();
    }
    CHECK(status < 0 || weft_context_count(weft_context_current()) == MANY);
    return status;
}

static int whole(struct stage *stage, struct weft_coro **coro_out, weft_fiber_fn *fn)
{
    CHECK_EQ(owned, 0); /* what the run before handed over was released */
    return weft_fiber_new(fn, stage, NULL, coro_out);
}

static int make_inherit(struct stage *stage, struct weft_coro **coro_out)
{
    return whole(stage, coro_out, inherit);
}

static int make_set_and_reset(struct stage *stage, struct weft_coro **coro_out)
{
    return whole(stage, coro_out, set_and_reset);
}

static int make_run_in_copy(struct stage *stage, struct weft_coro **coro_out)
{
    return whole(stage, coro_out, run_in_copy);
}

static const struct scenario scenarios[] = {
    {.name = "context_inherit", .kind = ON_SIM, .make = make_inherit},
    {.name = "context_set_and_reset", .kind = ON_SIM, .make = make_set_and_reset},
    {.name = "context_run_in_copy", .kind = ON_SIM, .make = make_run_in_copy},
    {.name = "context_many", .kind = ON_SIM, .body = set_many},
};

ROOM(context_scenarios, scenarios);
