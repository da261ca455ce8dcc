/*
 * Context: isolation of copies, the current one of each thread, tokens, ownership of values, and memory that runs out.
 */
#include "lib/base/context.h"
#include "lib/base/thread.h"
#include "tests/support/oom.h"
#include "tests/support/test.h"
#include "weft/atomic.h"
#include "weft/context.h"

#include <errno.h>
#include <stdint.h>

static int release_counts[64];

static void release_number(void *value)
{
    weft_atomic_add_relaxed(&release_counts[(intptr_t)value], 1);
}

static char default_text[] = "default";

static const struct weft_context_var text_var = WEFT_CONTEXT_VAR("text", default_text);
static const struct weft_context_var plain_var = WEFT_CONTEXT_VAR("plain", NULL);
static const struct weft_context_var owned_var = WEFT_CONTEXT_VAR_OWNED("owned", NULL, release_number);

static void *number(intptr_t value)
{
    return (void *)value;
}

static intptr_t get(struct weft_context *context, const struct weft_context_var *var)
{
    return (intptr_t)weft_context_get(context, var, number(-1));
}

Test(context, gives_defaults_for_what_is_not_set, .timeout = 5)
{
    struct weft_context *context = weft_context_empty();
    CHECK(weft_context_get(context, &text_var, NULL) == NULL);
    CHECK(weft_context_get(NULL, &text_var, number(7)) == number(7));
    CHECK(weft_context_var_get(&text_var) == default_text);
    CHECK(!weft_context_contains(context, &text_var));
    CHECK(!weft_context_contains(NULL, &text_var));
    CHECK_EQ(weft_context_count(context), 0);
    CHECK_EQ(weft_context_count(NULL), 0);
    weft_context_unref(context);
}

Test(context, tells_a_null_that_is_set_from_nothing, .timeout = 5)
{
    struct weft_context *context = weft_context_empty();
    CHECK_EQ(weft_context_set(context, &plain_var, NULL), 0);
    CHECK(weft_context_contains(context, &plain_var));
    CHECK(weft_context_get(context, &plain_var, number(7)) == NULL);
    CHECK_EQ(weft_context_count(context), 1);
    weft_context_unref(context);
}

Test(context, copies_see_nothing_of_each_other, .timeout = 5)
{
    struct weft_context *first = weft_context_empty();
    CHECK_EQ(weft_context_set(first, &plain_var, number(1)), 0);
    struct weft_context *second = weft_context_copy(first);
    struct weft_context *third = weft_context_copy(second);
    CHECK_EQ(get(second, &plain_var), 1);
    CHECK_EQ(weft_context_set(second, &plain_var, number(2)), 0);
    CHECK_EQ(weft_context_set(first, &text_var, number(5)), 0);
    CHECK_EQ(get(first, &plain_var), 1);
    CHECK_EQ(get(second, &plain_var), 2);
    CHECK_EQ(get(third, &plain_var), 1);
    CHECK(!weft_context_contains(second, &text_var));
    CHECK(!weft_context_contains(third, &text_var));
    weft_context_unref(first);
    CHECK_EQ(get(third, &plain_var), 1);
    weft_context_unref(second);
    weft_context_unref(third);
}

Test(context, copies_nothing_as_an_empty_one, .timeout = 5)
{
    struct weft_context *copy = weft_context_copy(NULL);
    CHECK(copy != NULL);
    CHECK_EQ(weft_context_count(copy), 0);
    weft_context_unref(copy);
    weft_context_unref(NULL);
    CHECK(weft_context_ref(NULL) == NULL);
}

Test(context, copies_with_one_allocation_however_much_is_set, .timeout = 5)
{
    static struct weft_context_var vars[100];
    oom_install();
    struct weft_context *context = weft_context_empty();
    for (intptr_t i = 0; i < 100; i++) {
        vars[i] = (struct weft_context_var)WEFT_CONTEXT_VAR("many", NULL);
        CHECK_EQ(weft_context_set(context, &vars[i], number(i)), 0);
    }
    oom_start(0);
    struct weft_context *copy = weft_context_copy(context);
    (void)oom_stop();
    CHECK_EQ(oom_asked(), 1);
    weft_context_unref(context);
    for (intptr_t i = 0; i < 100; i++)
        CHECK_EQ(get(copy, &vars[i]), i);
    CHECK_EQ(weft_context_count(copy), 100);
    weft_context_unref(copy);
    CHECK_EQ(oom_live(), 0);
}

/* -- values -- */

Test(context, releases_a_value_once_when_nobody_holds_it, .timeout = 5)
{
    struct weft_context *context = weft_context_empty();
    CHECK_EQ(weft_context_set(context, &owned_var, number(1)), 0);
    struct weft_context *copy = weft_context_copy(context);
    CHECK_EQ(weft_context_set(context, &plain_var, number(9)), 0); /* two maps with value 1 */
    CHECK_EQ(weft_context_set(context, &owned_var, number(2)), 0);
    CHECK_EQ(release_counts[1], 0);
    weft_context_unref(copy);
    CHECK_EQ(release_counts[1], 1);
    CHECK_EQ(weft_context_set(context, &owned_var, number(3)), 0);
    CHECK_EQ(release_counts[2], 1);
    weft_context_unref(context);
    CHECK_EQ(release_counts[3], 1);
    CHECK_EQ(release_counts[1], 1);
}

/* -- the current context -- */

struct scene {
    struct weft_context *context;
    int call_count;
    int result;
};

static int scene_set(void *arg)
{
    struct scene *scene = arg;
    scene->call_count++;
    CHECK(weft_context_current() == scene->context);
    CHECK_EQ(weft_context_var_set(&plain_var, number(5), NULL), 0);
    CHECK(weft_context_var_get(&plain_var) == number(5));
    return scene->result;
}

Test(context, is_current_while_something_runs_in_it, .timeout = 5)
{
    struct scene scene = {.context = weft_context_empty(), .result = 77};
    CHECK(weft_context_current() == NULL);
    CHECK_EQ(weft_context_run(scene.context, scene_set, &scene), 77);
    CHECK(weft_context_current() == NULL);
    CHECK(weft_context_var_get(&plain_var) == NULL);
    CHECK_EQ(get(scene.context, &plain_var), 5);
    weft_context_unref(scene.context);
}

static int scene_make(void *arg)
{
    (void)arg;
    CHECK(weft_context_current() == NULL);
    CHECK_EQ(weft_context_var_set(&owned_var, number(4), NULL), 0);
    CHECK(weft_context_current() != NULL);
    CHECK_EQ(release_counts[4], 0);
    return 0;
}

Test(context, drops_what_was_made_in_a_run_without_one, .timeout = 5)
{
    CHECK_EQ(weft_context_run(NULL, scene_make, NULL), 0);
    CHECK(weft_context_current() == NULL);
    CHECK_EQ(release_counts[4], 1);
}

static int scene_reenter(void *arg)
{
    struct scene *scene = arg;
    return weft_context_run(scene->context, scene_set, scene);
}

static int scene_reenter_below(void *arg)
{
    struct weft_context *between = weft_context_empty();
    int status = weft_context_run(between, scene_reenter, arg);
    weft_context_unref(between);
    return status;
}

Test(context, cannot_be_entered_twice, .timeout = 5)
{
    struct scene scene = {.context = weft_context_empty()};
    CHECK_EQ(weft_context_run(scene.context, scene_reenter, &scene), -EBUSY);
    CHECK_EQ(weft_context_run(scene.context, scene_reenter_below, &scene), -EBUSY);
    CHECK_EQ(scene.call_count, 0);
    CHECK(context_swap_current(weft_context_ref(scene.context)) == NULL);
    CHECK_EQ(weft_context_run(scene.context, scene_set, &scene), -EBUSY);
    weft_context_unref(context_swap_current(NULL));
    CHECK_EQ(weft_context_run(scene.context, scene_set, &scene), 0);
    CHECK_EQ(scene.call_count, 1);
    weft_context_unref(scene.context);
}

Test(context, is_handed_over_by_a_swap, .timeout = 5)
{
    /* What a loop does around a step: the first set in a task without a context makes one, which leaves with the task. */
    CHECK_EQ(weft_context_var_set(&plain_var, number(1), NULL), 0);
    struct weft_context *of_thread = weft_context_current();
    struct weft_context *of_task = NULL;
    for (intptr_t step = 0; step < 3; step++) {
        of_task = context_swap_current(of_task);
        CHECK(of_task == of_thread);
        CHECK(weft_context_var_get(&plain_var) == number(step * 10));
        CHECK_EQ(weft_context_var_set(&plain_var, number((step + 1) * 10), NULL), 0);
        of_task = context_swap_current(of_task);
    }
    CHECK(weft_context_current() == of_thread);
    CHECK(weft_context_var_get(&plain_var) == number(1));
    CHECK_EQ(get(of_task, &plain_var), 30);
    weft_context_unref(of_task);
    weft_context_unref(context_swap_current(NULL));
}

Test(context, is_captured_without_allocation_while_nothing_is_set, .timeout = 5)
{
    struct weft_context *captured = (struct weft_context *)&captured;
    oom_install();
    oom_start_from(1);
    CHECK_EQ(context_capture(&captured), 0);
    CHECK(captured == NULL);
    CHECK(!oom_stop());
    CHECK_EQ(weft_context_var_set(&plain_var, number(1), NULL), 0);
    oom_start(1);
    captured = (struct weft_context *)&captured;
    CHECK_EQ(context_capture(&captured), -ENOMEM);
    CHECK(captured == (struct weft_context *)&captured);
    CHECK(oom_stop());
    CHECK_EQ(context_capture(&captured), 0);
    CHECK_EQ(weft_context_var_set(&plain_var, number(2), NULL), 0);
    CHECK_EQ(get(captured, &plain_var), 1);
    weft_context_unref(captured);
    weft_context_unref(context_swap_current(NULL));
    CHECK_EQ(oom_live(), 0);
}

/* -- tokens -- */

Test(context, goes_back_by_tokens, .timeout = 5)
{
    struct weft_context_token one;
    struct weft_context_token two;
    struct weft_context_token three;
    CHECK_EQ(weft_context_var_set(&owned_var, number(10), &one), 0);
    CHECK_EQ(weft_context_var_set(&owned_var, number(11), &two), 0);
    CHECK_EQ(weft_context_var_set(&plain_var, number(12), &three), 0);
    CHECK_EQ(release_counts[10], 0);
    CHECK_EQ(weft_context_var_reset(&two), 0);
    CHECK(weft_context_var_get(&owned_var) == number(10));
    CHECK(weft_context_var_get(&plain_var) == number(12));
    CHECK_EQ(release_counts[11], 1);
    CHECK_EQ(weft_context_var_reset(&one), 0);
    CHECK(!weft_context_contains(weft_context_current(), &owned_var));
    CHECK_EQ(release_counts[10], 1);
    weft_context_token_drop(&three);
    CHECK(weft_context_var_get(&plain_var) == number(12));
    weft_context_unref(context_swap_current(NULL));
}

Test(context, uses_a_token_once, .timeout = 5)
{
    struct weft_context_token token;
    CHECK_EQ(weft_context_var_set(&plain_var, number(1), &token), 0);
    CHECK_EQ(weft_context_var_reset(&token), 0);
    CHECK_EQ(weft_context_var_reset(&token), -EALREADY);
    weft_context_token_drop(&token);
    CHECK_EQ(weft_context_var_reset(&token), -EALREADY);
    weft_context_unref(context_swap_current(NULL));
}

static int reset_elsewhere(void *arg)
{
    return weft_context_var_reset(arg);
}

Test(context, refuses_a_token_of_another_context, .timeout = 5)
{
    struct weft_context_token token;
    CHECK_EQ(weft_context_var_set(&plain_var, number(1), &token), 0);
    struct weft_context *copy = weft_context_copy(weft_context_current());
    CHECK_EQ(weft_context_run(copy, reset_elsewhere, &token), -EINVAL);
    CHECK_EQ(weft_context_run(NULL, reset_elsewhere, &token), -EINVAL);
    CHECK_EQ(get(copy, &plain_var), 1);
    CHECK_EQ(weft_context_var_reset(&token), 0);
    weft_context_unref(copy);
    weft_context_unref(context_swap_current(NULL));
}

Test(context, keeps_what_a_dropped_context_had_for_its_token, .timeout = 5)
{
    struct weft_context_token token;
    CHECK_EQ(weft_context_var_set(&owned_var, number(20), NULL), 0);
    CHECK_EQ(weft_context_var_set(&owned_var, number(21), &token), 0);
    weft_context_unref(context_swap_current(NULL));
    CHECK_EQ(release_counts[20], 0);
    CHECK_EQ(release_counts[21], 0);
    CHECK_EQ(weft_context_var_reset(&token), -EINVAL);
    weft_context_token_drop(&token);
    CHECK_EQ(release_counts[20], 1);
    CHECK_EQ(release_counts[21], 1);
}

/* -- out of memory -- */

/* Returns the first status that is not 0; leaves nothing behind. */
static int exercise(void)
{
    struct weft_context_token token = {0};
    struct weft_context *copy = NULL;
    int status = weft_context_var_set(&plain_var, number(1), NULL);
    if (status == 0) {
        copy = weft_context_copy(weft_context_current());
        status = copy == NULL ? -ENOMEM : 0;
    }
    if (status == 0)
        status = weft_context_set(copy, &text_var, number(2));
    if (status == 0)
        status = weft_context_var_set(&text_var, number(3), &token);
    if (status == 0) {
        weft_context_unref(copy);
        copy = weft_context_copy(weft_context_current()); /* shares the map, so that the reset has to copy it */
        status = copy == NULL ? -ENOMEM : weft_context_var_reset(&token);
    }
    weft_context_token_drop(&token);
    weft_context_unref(copy);
    weft_context_unref(context_swap_current(NULL));
    return status;
}

Test(context, survives_each_allocation_that_fails, .timeout = 5)
{
    oom_install();
    for (uint64_t n = 1;; n++) {
        oom_start(n);
        int status = exercise();
        bool is_refused = oom_stop();
        CHECK_EQ(status, is_refused ? -ENOMEM : 0);
        CHECK_EQ(oom_live(), 0);
        if (!is_refused) {
            CHECK(n > 8);
            break;
        }
    }
}

Test(context, leaves_the_value_to_the_caller_when_memory_runs_out, .timeout = 5)
{
    oom_install();
    struct weft_context *context = weft_context_empty();
    for (uint64_t n = 1; n <= 2; n++) {
        oom_start(n);
        CHECK_EQ(weft_context_set(context, &owned_var, number(30)), -ENOMEM);
        CHECK(oom_stop());
    }
    CHECK_EQ(release_counts[30], 0);
    CHECK_EQ(weft_context_count(context), 0);
    weft_context_unref(context);
    CHECK_EQ(oom_live(), 0);
}

/* -- threads -- */

static void thread_sets(void *arg)
{
    (void)arg;
    CHECK(weft_context_current() == NULL);
    CHECK_EQ(weft_context_var_set(&owned_var, number(40), NULL), 0);
    CHECK(weft_context_var_get(&owned_var) == number(40));
}

Test(context, of_a_thread_ends_with_it, .timeout = 5)
{
    struct thread thread;
    CHECK_EQ(weft_context_var_set(&plain_var, number(1), NULL), 0);
    CHECK_EQ(thread_start(&thread, NULL, thread_sets, NULL), 0);
    thread_join(&thread);
    CHECK_EQ(release_counts[40], 1);
    CHECK(!weft_context_contains(weft_context_current(), &owned_var));
    weft_context_unref(context_swap_current(NULL));
}

enum { SHARE_THREADS = 3, SHARE_ROUNDS = 5000 };

struct share {
    struct weft_context *context;
    const struct weft_context_var *var;
};

static struct weft_context_var share_vars[SHARE_THREADS];

static void share_main(void *arg)
{
    struct share *share = arg;
    for (intptr_t i = 0; i < SHARE_ROUNDS; i++) {
        CHECK_EQ(weft_context_set(share->context, share->var, number(i)), 0);
        CHECK_EQ(get(share->context, share->var), i);
        CHECK_EQ(weft_context_set(share->context, &owned_var, number(50)), 0);
        struct weft_context *copy = weft_context_copy(share->context);
        CHECK(copy != NULL);
        CHECK_EQ(get(copy, share->var), i);
        CHECK_EQ(weft_context_set(copy, &owned_var, number(51)), 0);
        weft_context_unref(copy);
    }
}

Test(context, may_be_shared_by_threads, .timeout = 60)
{
    struct weft_context *context = weft_context_empty();
    struct thread threads[SHARE_THREADS];
    struct share shares[SHARE_THREADS];
    for (int i = 0; i < SHARE_THREADS; i++) {
        share_vars[i] = (struct weft_context_var)WEFT_CONTEXT_VAR("share", NULL);
        shares[i] = (struct share){.context = context, .var = &share_vars[i]};
        CHECK_EQ(thread_start(&threads[i], NULL, share_main, &shares[i]), 0);
    }
    for (int i = 0; i < SHARE_THREADS; i++) {
        thread_join(&threads[i]);
        CHECK_EQ(get(context, &share_vars[i]), SHARE_ROUNDS - 1);
    }
    CHECK_EQ(weft_context_count(context), SHARE_THREADS + 1);
    CHECK_EQ(release_counts[50], SHARE_THREADS * SHARE_ROUNDS - 1);
    CHECK_EQ(release_counts[51], SHARE_THREADS * SHARE_ROUNDS);
    weft_context_unref(context);
    CHECK_EQ(release_counts[50], SHARE_THREADS * SHARE_ROUNDS);
}
