/*
 * Run until complete: run_forever plus a callback that stops it.
 *
 * A run may be left with that callback queued: by a fatal status that the future itself carries, or by somebody else's stop. So that
 * it does not end the next run too, it finds out from an object that both hold whether its own is over.
 */
#include <errno.h>

#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

struct run {
    struct weft_loop *loop;
    uint32_t refs;    /* the run's and the callback's */
    uint32_t is_over; /* atomic: a run that was refused ends in another thread than the loop's */
};

static void run_unref(void *arg)
{
    struct run *run = arg;
    /* Acq_rel. Pairs with itself: whoever frees comes after the other's last look. */
    if (weft_atomic_sub_acq_rel(&run->refs, 1) == 1)
        weft_free(run);
}

static int stop_run(struct weft_future *future, void *arg)
{
    struct run *run = arg;
    (void)future;
    return weft_atomic_load_relaxed(&run->is_over) ? 0 : weft_loop_stop(run->loop);
}

static int run_until_done(struct weft_loop *loop, struct weft_future *future, struct run *run)
{
    *run = (struct run){.loop = loop, .refs = 2};
    struct future_callback callback = {stop_run, run, NULL, run_unref};
    int status = future_add_callback_on(future, loop, &callback);
    if (status < 0) {
        weft_free(run);
        return status;
    }
    status = weft_loop_run_forever(loop);
    (void)weft_future_remove_done_callback(future, stop_run, run);
    weft_atomic_store_relaxed(&run->is_over, 1);
    run_unref(run);
    return status;
}

int weft_loop_run_until_complete(struct weft_loop *loop, struct weft_future *future, void **value_out)
{
    if (loop == NULL || future == NULL || future->loop != loop)
        return -EINVAL;
    int closed = loop_check_open(loop);
    if (closed < 0)
        return closed;
    if (weft_loop_is_running(loop))
        return WEFT_ERUNNING;
    if (weft_get_running_loop() != NULL)
        return WEFT_EOTHERLOOP;
    struct run *run = weft_malloc(sizeof(*run));
    int status = run == NULL ? -ENOMEM : run_until_done(loop, future, run);
    if (status < 0) {
        if (weft_future_done(future))
            (void)weft_future_exception(future, NULL); /* it is on its way out with the run already */
        return status;
    }
    return weft_future_done(future) ? weft_future_result(future, value_out) : WEFT_ESTOPPED;
}
