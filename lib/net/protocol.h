/*
 * Protocol, inside: calling a slot that may not be there.
 */
#ifndef LIB_NET_PROTOCOL_H
#define LIB_NET_PROTOCOL_H

#include "weft/protocol.h"

#define protocol_has(protocol, slot)                                                                                                       \
    ((protocol)->ops->size >= offsetof(struct weft_protocol_ops, slot) + sizeof((protocol)->ops->slot) && (protocol)->ops->slot != NULL)

/* Call a slot that takes no further argument; 0 if it is not there. */
#define protocol_call(protocol, slot) (protocol_has(protocol, slot) ? (protocol)->ops->slot(protocol) : 0)

/* Say connection_lost to a protocol that has no transport, or no longer. */
static inline int protocol_lost(struct weft_protocol *protocol, int status)
{
    return protocol_has(protocol, connection_lost) ? protocol->ops->connection_lost(protocol, status) : 0;
}

#endif
