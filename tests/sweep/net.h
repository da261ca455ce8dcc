/*
 * What the scenarios of the net room share: where to serve, and ends that are waited for whatever is asked of the task meanwhile.
 */
#ifndef TESTS_SWEEP_NET_H
#define TESTS_SWEEP_NET_H

#include "tests/sweep/stage.h"
#include "weft/server.h"
#include "weft/stream.h"
#include "weft/transport.h"

/* A UNIX socket without a file, this process's own, in the kernel's world and in the simulator's. */
const char *net_path(void);

/* Options for a server at net_path(), and for a connection to it. */
struct weft_server_options net_server_options(void);
struct weft_connection_options net_connection_options(void);

/* Wait until `future` is done, through cancellations of this task: `status`, or -ECANCELED if there was one and that was 0. */
int net_wait_surely(struct weft_future *future, int status);

/* Close `server` and its connections, wait until they are gone as far as there is memory for that, and let it go: `status`, or as above. */
int net_end_server(struct stage *stage, struct weft_server *server, int status);

/* Close `stream`, wait for its end unless cancelled, and let it go: `status`, or as above. */
int net_end_stream(struct weft_stream *stream, int status);

#endif
