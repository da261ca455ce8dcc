/*
 * Signals: a handler may do next to nothing, so it writes one byte to a socket, and the other end is an ordinary transport whose protocol
 * cancels the task. asyncio does the same (signal.set_wakeup_fd). Called by main.c.
 */
#include "tools/demo/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "weft/future.h"
#include "weft/loop.h"
#include "weft/task.h"
#include "weft/transport.h"
#include "weft/work.h"

struct signals {
    struct weft_protocol protocol;
    struct weft_transport *transport;
    struct weft_task *task;
};

static struct signals signals;
static volatile sig_atomic_t writing_fd = -1; /* the handler's; -1: nobody listens */

static void on_signal(int number)
{
    int saved = errno;
    char byte = (char)number;
    if (writing_fd >= 0 && write(writing_fd, &byte, 1) < 0) {
        /* The socket is full of signals that nobody has read yet: one more says nothing new. */
    }
    errno = saved;
}

static int signals_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    weft_container_of(protocol, struct signals, protocol)->transport = transport;
    return 0;
}

static int signals_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    (void)data;
    (void)len;
    weft_task_cancel(weft_container_of(protocol, struct signals, protocol)->task, "a signal came");
    return 0;
}

static int signals_lost(struct weft_protocol *protocol, int status)
{
    (void)status;
    weft_container_of(protocol, struct signals, protocol)->transport = NULL;
    return 0;
}

static const struct weft_protocol_ops signals_ops = {
    .size = sizeof(signals_ops),
    .connection_made = signals_made,
    .data_received = signals_received,
    .connection_lost = signals_lost,
};

static int signals_new(void *arg, struct weft_protocol **protocol_out)
{
    signals = (struct signals){.protocol = {&signals_ops}, .task = arg};
    *protocol_out = &signals.protocol;
    return 0;
}

int signals_open(struct weft_task *task)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    struct weft_future *made;
    int status = weft_loop_connect_accepted_socket(weft_future_get_loop(&task->future), signals_new, task, fds[0], &made);
    if (status < 0) {
        close(fds[0]);
        close(fds[1]);
        return status;
    }
    weft_future_unref(made);
    writing_fd = fds[1];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return 0;
}

void signals_close(void)
{
    int fd = writing_fd;
    if (fd < 0)
        return;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    writing_fd = -1;
    close(fd);
    if (signals.transport != NULL)
        weft_transport_abort(signals.transport);
}
