/*
 * The computation that the demo runs through its loops: what it computes, where it runs, and how its tasks are shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"
#include "tests/support/wait.h"
#include "tools/demo/computing.h"
#include "tools/demo/figures.h"
#include "tools/demo/http.h"
#include "tools/demo/site.h"
#include "tools/demo/spawn.h"
#include "tools/demo/speed.h"
#include "tools/demo/tasks.h"
#include "weft/fiber.h"
#include "weft/runtime.h"

#define DEADLINE_MS 40000

static struct site site;
static struct computing computing;
static struct speed speeds[COMPUTATION_COUNT];

static void start(void)
{
    http_init();
    CHECK_EQ(site_open(&site, 2, 0), 0);
    CHECK_EQ(weft_runtime_start(site.runtime), 0);
}

/* Run `fn` in a fiber, and wait for it. */
static void run(weft_fiber_fn *fn)
{
    struct weft_task *task;
    CHECK_EQ(spawn(site.shards[0].loop, fn, NULL, &task, "test"), 0);
    CHECK_EQ(weft_future_wait(&task->future, DEADLINE_MS * 1000000ll, NULL), 0);
    weft_task_unref(task);
}

static int stop_site(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    site_stop(&site);
    return 0;
}

static void stop(void)
{
    run(stop_site);
    CHECK_EQ(weft_runtime_stop(site.runtime), 0);
    site_close(&site);
}

/* ---- the numbers ---- */

static int measure_speeds(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return speeds_measure(speeds, &site);
}

Test(compute, gives_the_same_numbers_in_plain_c_and_as_jobs, .timeout = 120)
{
    start();
    run(measure_speeds);
    for (int i = 0; i < COMPUTATION_COUNT; i++) {
        CHECK(speeds[i].serial.result > 0);
        CHECK_EQ(speeds[i].one_loop.result, speeds[i].serial.result);
        CHECK_EQ(speeds[i].all_loops.result, speeds[i].serial.result);
        CHECK(speed_up(&speeds[i].all_loops, &speeds[i].one_loop) > 0);
    }
    CHECK_EQ(speeds[0].serial.result, 9227465); /* fib(35) */
    stop();
}

/* ---- the loops ---- */

static bool has_stolen(void *arg)
{
    struct figures sum = {0}, figures;
    (void)arg;
    for (uint32_t i = 0; i < site.count; i++) {
        figures_read(&site.shards[i], &figures);
        figures_add(&sum, &figures);
    }
    return sum.stolen_jobs > 0;
}

static int stop_computing(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    return computing_stop(&computing);
}

Test(compute, goes_on_on_all_loops_until_it_is_stopped, .timeout = 120)
{
    uint64_t rounds = 0;
    start();
    CHECK_EQ(computing_start(&computing, &site), 0);
    CHECK(wait_until(has_stolen, NULL, DEADLINE_MS));
    run(stop_computing);
    for (int i = 0; i < COMPUTATION_COUNT; i++)
        rounds += computing.rounds[i];
    CHECK(rounds > 0);
    run(stop_computing); /* twice is harmless */
    stop();
}

/* ---- the picture ---- */

static char *print_tree(const struct task_tree *tree, size_t loops_max, size_t tasks_max)
{
    char *text;
    size_t text_bytes;
    FILE *out = open_memstream(&text, &text_bytes);
    CHECK(out != NULL);
    task_tree_print(tree, out, "  ", loops_max, tasks_max);
    fclose(out);
    return text;
}

Test(tasks, are_shown_below_the_task_that_forked_them, .timeout = 5)
{
    struct task_line lines[] = {
        {.id = 1, .loop = 0, .name = "compute", .ran_on = 1},
        {.id = 2, .loop = 0, .name = "tick"},
        {.id = 3, .loop = 1, .name = "serve", .is_current = true, .ran_on = 1},
        {.id = 4, .parent = 1, .loop = 0, .name = "Task-4", .is_current = true, .ran_on = 1},
        {.id = 5, .parent = 1, .loop = 1, .name = "Task-5"},
    };
    struct task_tree tree = {lines, sizeof(lines) / sizeof(lines[0])};
    char *text = print_tree(&tree, 4, 8);
    CHECK_STR(text, "  loop 0\n"
                    "  ├─ compute                  awaiting, ran on loop 1\n"
                    "  │  ├─ Task-4                current, on loop 1\n"
                    "  │  └─ Task-5                awaiting, ran on loop 0\n"
                    "  └─ tick                     awaiting\n"
                    "  loop 1\n"
                    "  └─ serve                    current\n");
    free(text);
}

Test(tasks, are_counted_where_there_are_too_many, .timeout = 5)
{
    struct task_line lines[] = {
        {.id = 1, .name = "a"},
        {.id = 2, .name = "b"},
        {.id = 3, .name = "c"},
        {.id = 4, .name = "d", .loop = 1, .ran_on = 1},
    };
    struct task_tree tree = {lines, sizeof(lines) / sizeof(lines[0])};
    char *text = print_tree(&tree, 1, 2);
    CHECK_STR(text, "  loop 0\n"
                    "  ├─ a                        awaiting\n"
                    "  └─ and 2 more\n"
                    "  and 1 more on the other loops\n");
    free(text);
}
