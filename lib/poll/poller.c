/*
 * Poller: the base of every backend comes to life here.
 *
 * Called by whoever makes a loop. A table that lacks a slot is refused at this door, so that nobody behind it has to ask.
 */
#include "weft/poller.h"

#include <errno.h>

#include "weft/status.h"

static int ops_check(const struct weft_poller_ops *ops)
{
    bool is_whole = ops->state_bytes >= sizeof(struct weft_poller) && weft_poller_ops_has(ops, init) && weft_poller_ops_has(ops, fini) &&
                    weft_poller_ops_has(ops, submit) && weft_poller_ops_has(ops, cancel) && weft_poller_ops_has(ops, wait) &&
                    weft_poller_ops_has(ops, wake) && weft_poller_ops_has(ops, now);
    return is_whole ? 0 : WEFT_EPROTOCOL;
}

int weft_poller_init(struct weft_poller *poller, const struct weft_poller_ops *ops, const struct weft_poller_options *options)
{
    if (poller == NULL || (options != NULL && options->size < sizeof(*options)))
        return -EINVAL;
    int status = ops == NULL ? WEFT_EPROTOCOL : ops_check(ops);
    if (status < 0)
        return status;
    poller->ops = ops;
    return ops->init(poller, options);
}
