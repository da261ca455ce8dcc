/*
 * Models of run_until_complete(): an object that the run and a callback hold, whoever of them is last.
 *
 * lib/task/run.c is real; the future and the loop are a callback that another thread calls, lets go, or has taken back.
 */
#include "lib/task/task.h"
#include "tests/model/checker.h"
#include "weft/status.h"

static struct weft_loop loop;
static struct weft_future future;
static struct waiting {
    struct future_callback callback;
    uint32_t is_taken; /* atomic: by the loop that calls it, or by the run that takes it back */
    struct model_token added;
} waiting[2];          /* of each run */
static unsigned stops; /* plain, of the calling loop */

/* Runs are the first threads of a model. */
static struct waiting *waiting_here(void)
{
    return &waiting[model_thread() - 1];
}

int future_add_callback_on(struct weft_future *of, struct weft_loop *on, const struct future_callback *is)
{
    (void)of, (void)on;
    waiting_here()->callback = *is;
    model_signal(&waiting_here()->added);
    return 0;
}

/* The loop runs elsewhere: the run is refused, and ends while the callback may be under way. */
int weft_loop_run_forever(struct weft_loop *of)
{
    (void)of;
    return WEFT_ERUNNING;
}

int weft_future_remove_done_callback(struct weft_future *of, weft_future_callback_fn *fn, void *arg)
{
    struct waiting *here = waiting_here();
    (void)of;
    MODEL_CHECK(fn == here->callback.fn && arg == here->callback.arg);
    if (weft_atomic_exchange_relaxed(&here->is_taken, 1) != 0)
        return 0;
    here->callback.release(arg);
    return 1;
}

int weft_loop_stop(struct weft_loop *of)
{
    MODEL_CHECK(of == &loop);
    stops++;
    return 0;
}

bool weft_loop_is_running(const struct weft_loop *of)
{
    (void)of;
    return false;
}

struct weft_loop *weft_get_running_loop(void)
{
    return NULL;
}

bool weft_future_done(const struct weft_future *of)
{
    (void)of;
    return false;
}

int weft_future_exception(struct weft_future *of, int *status_out)
{
    (void)of, (void)status_out;
    return 0;
}

int weft_future_result(struct weft_future *of, void **value_out)
{
    (void)of, (void)value_out;
    return 0;
}

static void setup(void)
{
    future.loop = &loop;
}

static void run(void)
{
    MODEL_CHECK(weft_loop_run_until_complete(&loop, &future, NULL) == WEFT_ERUNNING);
}

static void call_one(struct waiting *each)
{
    model_wait(&each->added);
    if (weft_atomic_exchange_relaxed(&each->is_taken, 1) != 0)
        return;
    MODEL_CHECK(each->callback.fn(&future, each->callback.arg) == 0);
    each->callback.release(each->callback.arg);
}

static void call_back(void)
{
    call_one(&waiting[0]);
}

static void call_both(void)
{
    call_one(&waiting[0]);
    call_one(&waiting[1]);
}

/* Lets go, and then calls. */
static void release_first(void)
{
    const struct future_callback *callback = &waiting[0].callback;
    model_wait(&waiting[0].added);
    if (weft_atomic_exchange_relaxed(&waiting[0].is_taken, 1) != 0)
        return;
    callback->release(callback->arg);
    (void)callback->fn(&future, callback->arg);
}

static void check(void)
{
    MODEL_CHECK(waiting[0].is_taken == 1 && stops <= 1);
}

static void check_both(void)
{
    MODEL_CHECK(waiting[0].is_taken == 1 && waiting[1].is_taken == 1 && stops <= 2);
}

static const struct model models[] = {
    {.name = "refused",
     .about = "a run that is refused, and its callback on the loop that runs elsewhere: the last of them frees what they share",
     .setup = setup,
     .threads = {run, call_back},
     .check = check},
    {.name = "two_refused",
     .about = "two runs of one future are refused, and the loop calls each one's callback or finds it taken back",
     .setup = setup,
     .threads = {run, run, call_both},
     .check = check_both},
};

static const struct model broken[] = {
    {.name = "release_swapped", .about = "a callback that lets go before it is called", .setup = setup, .threads = {run, release_first}},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/run.c"}};
    return model_main(&suite, argc, argv);
}
