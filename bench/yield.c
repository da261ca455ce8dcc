/*
 * What does it cost to let the others have a turn?
 *
 * `one` and `hundred` step tasks of one loop yield, again and again; `one_fiber` and `hundred_fiber` are tasks with a stack of their own, which
 * is what a task is elsewhere too where it can wait in any function. `call_soon` is a callback that queues itself. Per yield. A second loop
 * has nothing to do but to look whether there is anything to steal.
 */
#include "bench/kit/tasks.h"

enum { YIELDS = 2000000, YIELDS_QUICK = 100000, TASKS_MAX = 100 };

static int scaled(const struct kit *kit)
{
    return kit->is_quick ? YIELDS_QUICK : YIELDS;
}

static int step_yields(struct weft_step *step, void *state, int status)
{
    int *left = state;
    if (status < 0)
        return status;
    return (*left)-- > 0 ? weft_step_yield(step) : weft_step_return(step, NULL);
}

static int fiber_yields(void *arg, void **result_out)
{
    int status = 0;
    (void)result_out;
    for (int left = *(const int *)arg; left > 0 && status >= 0; left--)
        status = weft_yield();
    return status;
}

struct crowd {
    int count;
    bool are_fibers;
};

static struct weft_coro *one_of(const struct kit *kit, const struct crowd *crowd, int *times)
{
    void *left;
    if (crowd->are_fibers)
        return tasks_fiber(kit, fiber_yields, times);
    struct weft_coro *coro = tasks_step(kit, step_yields, sizeof(int), &left);
    *(int *)left = *times;
    return coro;
}

static void take_turns(const struct kit *kit, int times)
{
    const struct crowd *crowd = kit->arg;
    struct weft_task *tasks[TASKS_MAX];
    for (int i = 0; i < crowd->count; i++)
        tasks[i] = tasks_start(kit, one_of(kit, crowd, &times));
    for (int i = 0; i < crowd->count; i++)
        tasks_finish(kit, tasks[i]);
}

static void measure(struct kit *kit)
{
    int count = ((const struct crowd *)kit->arg)->count, times = scaled(kit) / count;
    take_turns(kit, times / 8);
    kit_start(kit);
    take_turns(kit, times);
    kit_stop_alone(kit, "ns", (double)times * count);
}

static void run_crowd(struct kit *kit)
{
    tasks_within(kit, NULL, measure);
}

struct again {
    struct weft_loop *loop;
    struct weft_future *done;
    int left;
};

static int call_again(void *arg)
{
    struct again *again = arg;
    if (--again->left == 0)
        return weft_future_set_result(again->done, NULL);
    return weft_loop_call_soon(again->loop, call_again, again, NULL, NULL);
}

static void measure_call_soon(struct kit *kit)
{
    struct again again = {.loop = weft_get_running_loop(), .left = scaled(kit)};
    kit_must(kit, weft_loop_create_future(again.loop, &again.done), "a future");
    kit_must(kit, weft_loop_call_soon(again.loop, call_again, &again, NULL, NULL), "a call");
    kit_start(kit);
    kit_must(kit, weft_await(again.done, NULL), "the calls");
    kit_stop_alone(kit, "ns", scaled(kit));
    weft_future_unref(again.done);
}

static void run_call_soon(struct kit *kit)
{
    tasks_within(kit, NULL, measure_call_soon);
}

int main(int argc, char **argv)
{
    static const struct crowd step = {1, false}, steps = {TASKS_MAX, false}, fiber = {1, true}, fibers = {TASKS_MAX, true};
    static const struct kit_case cases[] = {
        {"yield", "one", run_crowd, &step, 0},          {"yield", "hundred", run_crowd, &steps, 0},
        {"yield", "one_fiber", run_crowd, &fiber, 0},   {"yield", "hundred_fiber", run_crowd, &fibers, 0},
        {"yield", "call_soon", run_call_soon, NULL, 0},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
