/*
 * Everything that is public, from C++17: all headers in one file, a loop that runs, and the macros that open options and steps, and
 * that define jobs.
 *
 * all_headers.h is generated from the folder, so that a header that is added is in it. It has a main of its own, since the harness is C.
 */
#include "tests/api/all_headers.h"

#include <cstdio>
#include <cstring>
#include <string>

namespace
{

std::string journal;

int note(void *word)
{
    journal += static_cast<const char *>(word);
    journal += ' ';
    return 0;
}

void *word(const char *text)
{
    return const_cast<char *>(text);
}

bool check(bool claim, const char *text)
{
    if (!claim)
        std::fprintf(stderr, "not so: %s\n", text);
    return claim;
}

#define CHECK(claim) (is_good = check((claim), #claim) && is_good)

int fiber_body(void *arg, void **result_out)
{
    void *value = nullptr;
    int status = weft_await(static_cast<weft_future *>(arg), &value);
    note(value);
    *result_out = word("fiber");
    return status;
}

struct pair {
    weft_future *left, *right;
};

int wait_for_both(weft_step *step, void *state, int status)
{
    pair *both = static_cast<pair *>(state);
    WEFT_STEP_BEGIN(step, status);
    WEFT_STEP_AWAIT(step, both->left, status);
    WEFT_STEP_YIELD(step, status);
    WEFT_STEP_AWAIT(step, both->right, status);
    WEFT_STEP_END(step, word("step"));
}

struct range {
    const int *from, *to;
};

WEFT_JOB(long, sum, range, all)
{
    if (all.to - all.from == 1)
        return *all.from;
    const int *middle = all.from + (all.to - all.from) / 2;
    WEFT_FORK(sum, (range{all.from, middle}));
    long right = WEFT_CALL(sum, (range{middle, all.to}));
    long left = WEFT_JOIN(sum);
    return left + right;
}

int sum_in_fiber(void *arg, void **result_out)
{
    const int numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    *result_out = arg;
    return WEFT_RUN(sum, (range{numbers, numbers + 10}), static_cast<long *>(arg));
}

int fork_in_fiber(void *arg, void **)
{
    int number = 21;
    struct weft_fork fork;
    int status = weft_fork(
        &fork, [](void *number) { return 2 * *static_cast<int *>(number); }, &number);
    if (status == 0)
        *static_cast<long *>(arg) = weft_join(&fork);
    return status;
}

bool run_callbacks(weft_loop *loop)
{
    bool is_good = true;
    weft_timer timer;
    weft_timer_init(&timer, loop, note, word("timer"));
    CHECK(weft_timer_start(&timer, 0) == 0);
    CHECK(weft_loop_call_soon(loop, note, word("soon"), nullptr, nullptr) == 0);
    CHECK(weft_loop_call_later(
              loop, 1000, [](void *arg) { return weft_loop_stop(static_cast<weft_loop *>(arg)); }, loop, nullptr) == 0);
    CHECK(weft_loop_run_forever(loop) == 0);
    CHECK(journal == "soon timer ");
    return is_good;
}

bool run_tasks(weft_loop *loop)
{
    bool is_good = true;
    void *value = nullptr;
    weft_future *future = nullptr;
    weft_coro *coro = nullptr;
    pair *both = nullptr;
    weft_task *fiber = nullptr, *step = nullptr;
    weft_task_options options = WEFT_TASK_OPTIONS;
    options.name = "both";
    journal.clear();
    CHECK(weft_loop_create_future(loop, &future) == 0);
    CHECK(weft_loop_create_fiber(loop, fiber_body, future, &fiber) == 0);
    CHECK(weft_step_new(wait_for_both, nullptr, sizeof(pair), &coro, reinterpret_cast<void **>(&both)) == 0);
    *both = pair{future, &fiber->future};
    CHECK(weft_loop_create_task(loop, coro, &options, &step) == 0);
    CHECK(weft_loop_call_soon(
              loop, [](void *arg) { return weft_future_set_result(static_cast<weft_future *>(arg), word("result")); }, future, nullptr,
              nullptr) == 0);
    CHECK(weft_loop_run_until_complete(loop, &step->future, &value) == 0);
    CHECK(value != nullptr && std::strcmp(static_cast<const char *>(value), "step") == 0);
    CHECK(journal == "result ");
    weft_task_unref(fiber);
    weft_task_unref(step);
    weft_future_unref(future);
    return is_good;
}

bool run_job(weft_loop *loop, weft_fiber_fn *fn, long expected)
{
    bool is_good = true;
    long result = 0;
    weft_task *task = nullptr;
    CHECK(weft_job_start(loop, fn, &result, &task) == 0);
    CHECK(weft_loop_run_until_complete(loop, &task->future, nullptr) == 0);
    CHECK(result == expected);
    weft_task_unref(task);
    return is_good;
}

bool run_jobs(weft_loop *loop)
{
    long untouched = 7;
    const int one = 1;
    bool is_good = true;
    CHECK(run_job(loop, sum_in_fiber, 55));
    CHECK(run_job(loop, fork_in_fiber, 42));
    CHECK(WEFT_RUN(sum, (range{&one, &one + 1}), &untouched) == WEFT_ENOFIBER && untouched == 7);
    return is_good;
}

} // namespace

int main()
{
    bool is_good = true;
    weft_loop *loop = nullptr;
    CHECK(weft_loop_new(nullptr, 0, &loop) == 0);
    CHECK(run_callbacks(loop));
    CHECK(run_tasks(loop));
    CHECK(run_jobs(loop));
    CHECK(weft_loop_close(loop) == 0);
    weft_loop_unref(loop);
    return is_good ? 0 : 1;
}
