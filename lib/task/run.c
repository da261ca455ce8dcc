/*
 * Run until complete: run_forever plus a callback that stops it.
 */
#include <errno.h>

#include "lib/task/task.h"
#include "weft/status.h"

static int stop_loop(struct weft_future *future, void *arg)
{
    (void)future;
    return weft_loop_stop(arg);
}

int weft_loop_run_until_complete(struct weft_loop *loop, struct weft_future *future, void **value_out)
{
    if (loop == NULL || future == NULL || future->loop != loop)
        return -EINVAL;
    if (weft_loop_is_closed(loop))
        return WEFT_ECLOSED;
    if (weft_loop_is_running(loop))
        return WEFT_ERUNNING;
    if (weft_get_running_loop() != NULL)
        return WEFT_EOTHERLOOP;
    struct future_callback callback = {stop_loop, loop, NULL, NULL};
    int status = future_add_callback_on(future, loop, &callback);
    if (status < 0)
        return status;
    status = weft_loop_run_forever(loop);
    (void)weft_future_remove_done_callback(future, stop_loop, loop);
    if (status < 0) {
        if (weft_future_done(future))
            (void)weft_future_exception(future, NULL); /* it is on its way out with the run already */
        return status;
    }
    return weft_future_done(future) ? weft_future_result(future, value_out) : WEFT_ESTOPPED;
}
