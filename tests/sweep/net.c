/*
 * Helpers of the net scenarios; see net.h.
 */
#include "tests/sweep/net.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/test.h"

const char *net_path(void)
{
    static char path[64];
    if (path[0] == '\0')
        (void)snprintf(path, sizeof(path), "@weft-sweep-%d", (int)getpid());
    return path;
}

struct weft_server_options net_server_options(void)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.path = net_path();
    return options;
}

struct weft_connection_options net_connection_options(void)
{
    struct weft_connection_options options = WEFT_CONNECTION_OPTIONS;
    options.path = net_path();
    return options;
}

static bool is_asked_to_stop(void)
{
    struct weft_task *self;
    CHECK_EQ(weft_current_task(&self), 0);
    return weft_task_cancelling(self) > 0;
}

int net_wait_surely(struct weft_future *future, int status)
{
    while (!weft_future_done(future)) {
        int waited = weft_await_flags(future, WEFT_AWAIT_DETACH, NULL);
        if (waited == WEFT_ECLOSED)
            return waited;
        if (waited == -ECANCELED && is_asked_to_stop())
            status = status == 0 ? waited : status;
    }
    (void)weft_future_result(future, NULL);
    return status;
}

int net_end_server(struct stage *stage, struct weft_server *server, int status)
{
    struct weft_future *closed;
    CHECK_EQ(weft_server_close(server), 0);
    /* Two ends that both wait for the other to read would close for ever. */
    CHECK_EQ(status == 0 ? weft_server_close_clients(server) : weft_server_abort_clients(server), 0);
    int waiting = weft_server_wait_closed(server, &closed);
    CHECK(waiting == 0 || waiting == -ENOMEM);
    weft_server_unref(server);
    if (waiting < 0)
        return status < 0 ? status : waiting;
    stage_keep(stage, closed);
    return net_wait_surely(closed, status);
}

int net_end_stream(struct weft_stream *stream, int status)
{
    CHECK_EQ(weft_stream_close(stream), 0);
    int waited = weft_stream_wait_closed(stream);
    weft_stream_unref(stream);
    return status < 0 ? status : waited;
}
