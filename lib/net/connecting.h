/*
 * Connecting: a connection under way, from a host's name to a transport.
 *
 *      look-up ──> race of attempts (connect_race.c) ──> protocol, transport, waiter (connection.c) ──> the future's result
 *
 * It is the future that its caller gets, and holds a reference on itself until it is decided and nothing that it began is pending.
 */
#ifndef LIB_NET_CONNECTING_H
#define LIB_NET_CONNECTING_H

#include "lib/net/address.h"
#include "lib/net/net.h"
#include "lib/task/future.h"
#include "weft/timer.h"
#include "weft/transport.h"

/* One address that is tried. */
struct attempt {
    struct weft_file file;
    struct weft_operation operation; /* connects, then takes the file out of the poller */
    struct connecting *connecting;
    int status; /* why it failed; 0: it did not */
    bool is_open;
    bool is_winner;
};

struct connecting {
    struct weft_future future; /* first; the result is the transport */
    struct net_item item;
    weft_protocol_factory_fn *factory;
    void *arg;
    struct weft_connection_options options; /* without the strings */
    struct weft_address local;              /* family AF_UNSPEC: none */
    struct weft_address_list addresses;
    struct attempt *attempts; /* one for each address */
    size_t next;              /* the first that was not tried */
    size_t pending_count;     /* attempts, look-up and waiter that are under way */
    struct weft_timer stagger;
    struct weft_timer timeout;
    struct weft_transport *transport;
    bool is_decided; /* won, failed or given up: nothing new begins */
};

/* As weft_loop_create_connection(), to the addresses `known` (NULL: those of options) as if the host had been looked up. */
int connection_create(struct weft_loop *loop, weft_protocol_factory_fn *factory, void *arg, const struct weft_connection_options *options,
                      const struct weft_address_list *known, struct weft_future **future_out);

/* Try `addresses` until one answers; then connecting_won(). The attempts are there. thread: the loop's */
void race_begin(struct connecting *connecting);

/* Give up all attempts, begin no more. thread: the loop's */
void race_end(struct connecting *connecting);

/* An address has answered: `fd`. thread: the loop's */
void connecting_won(struct connecting *connecting, int fd);

/* Fail with `status`. thread: the loop's */
void connecting_failed(struct connecting *connecting, int status);

/* One thing that was pending is over. thread: the loop's */
void connecting_unpend(struct connecting *connecting);

#endif
