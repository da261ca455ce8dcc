/*
 * Net: the room's state of one loop. Whoever makes a transport, a server or a look-up on a loop gets it here; the loop closes it.
 *
 * Closing lets every connection end with connection_lost(WEFT_ECLOSED) from the loop's last works, and every descriptor be closed.
 */
#include "lib/net/net.h"

#include <errno.h>

#include "weft/memory.h"
#include "weft/status.h"

static void net_close(struct weft_loop *loop, struct loop_room_state *state)
{
    struct net *net = (struct net *)(void *)state;
    (void)loop;
    limits_wheel_close(&net->wheel);
    while (net->items.next != &net->items) {
        struct net_item *item = net->items.next;
        net_item_remove(item);
        item->close(item);
    }
    for (struct weft_transport *transport = net->transports, *next; transport != NULL; transport = next) {
        next = transport->next; /* an abort defers: the list stays as it is */
        transport->flags |= WEFT_TRANSPORT_CLOSING;
        transport->ops->abort(transport, WEFT_ECLOSED);
    }
}

static void net_refuse(struct weft_loop *loop, struct loop_room_state *state)
{
    struct net *net = (struct net *)(void *)state;
    (void)loop;
    for (struct net_item *item = net->items.next, *next; item != &net->items; item = next) {
        next = item->next;
        if (item->refuse != NULL)
            item->refuse(item);
    }
}

static void net_fini(struct weft_loop *loop, struct loop_room_state *state)
{
    struct net *net = (struct net *)(void *)state;
    (void)loop;
    outgoing_pool_fini(&net->pool);
    stream_buffer_pool_fini(&net->buffers);
    limits_wheel_fini(&net->wheel);
    weft_free(net);
}

int net_get(struct weft_loop *loop, struct net **net_out)
{
    int status = loop_check(loop);
    if (status < 0)
        return status;
    struct net *net = net_of(loop);
    if (net == NULL) {
        net = weft_calloc(1, sizeof(*net));
        if (net == NULL)
            return -ENOMEM;
        net->state.close = net_close;
        net->state.fini = net_fini;
        net->state.refuse = net_refuse;
        net->loop = loop;
        net->items.next = net->items.prev = &net->items;
        limits_wheel_init(&net->wheel, loop);
        loop_lay_transport_base(loop, weft_transport_base_ops());
        loop_room_set(loop, LOOP_ROOM_NET, &net->state);
    }
    *net_out = net;
    return 0;
}

void net_item_add(struct net *net, struct net_item *item)
{
    item->next = &net->items;
    item->prev = net->items.prev;
    item->prev->next = item;
    net->items.prev = item;
}

void net_item_remove(struct net_item *item)
{
    if (item->next == NULL)
        return;
    item->next->prev = item->prev;
    item->prev->next = item->next;
    item->next = item->prev = NULL;
}

static int closed_at_once(struct weft_operation *operation, int result, unsigned flags)
{
    (void)operation, (void)result, (void)flags;
    return 0;
}

void net_close_fd(struct weft_loop *loop, int fd)
{
    struct weft_file file;
    struct weft_operation operation;
    weft_file_init(&file, fd, WEFT_FILE_STREAM);
    weft_operation_close(&operation, &file, closed_at_once);
    (void)loop_submit(loop, &operation); /* nothing is pending on it, so it is done when this returns */
}

int net_report(struct weft_loop *loop, const char *message, int status, void *object)
{
    if (status >= 0)
        return 0;
    if (weft_status_is_fatal(status))
        return status;
    loop_report(loop, message, status, object);
    return 0;
}

int weft_loop_get_transport_counters(const struct weft_loop *loop, struct weft_transport_counters *counters_out)
{
    if (loop == NULL || counters_out == NULL)
        return -EINVAL;
    static const struct weft_transport_counters none;
    *counters_out = net_of(loop) == NULL ? none : net_of(loop)->counters;
    return 0;
}
