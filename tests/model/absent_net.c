/*
 * What lib/net/server.c and transport.c would call, and models of their references do not come to. Without headers: only the names count.
 */
#include "tests/model/checker.h"

#define ABSENT(name)                                                                                                                       \
    void name(void);                                                                                                                       \
    void name(void)                                                                                                                        \
    {                                                                                                                                      \
        model_fail(#name " is not in this model");                                                                                         \
    }

ABSENT(address_any)
ABSENT(address_from_numeric)
ABSENT(address_from_path)
ABSENT(address_get_port)
ABSENT(address_prepare)
ABSENT(descriptor_get_name)
ABSENT(listener_accept)
ABSENT(listener_start)
ABSENT(loop_report)
ABSENT(net_close_fd)
ABSENT(net_report)
ABSENT(waiters_add)
ABSENT(weft_future_add_done_callback)
ABSENT(weft_future_cancel)
ABSENT(weft_future_done)
ABSENT(weft_future_init)
ABSENT(weft_future_ref)
ABSENT(weft_future_set_exception)
ABSENT(weft_future_unref)
ABSENT(weft_loop_create_future)
ABSENT(weft_loop_is_closed)
ABSENT(weft_loop_transport_ops)
