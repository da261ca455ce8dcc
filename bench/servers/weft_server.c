/*
 * Weft's servers: what they have in common. Called in a process that does nothing else.
 */
#include "bench/servers/weft_server.h"

#include "weft/fiber.h"

enum { BACKLOG = 4096 };

static int forever(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return weft_sleep(INT64_MAX);
}

static int make_all(struct weft_runtime *runtime, weft_server_make_fn *make, int *port_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    options.backlog = BACKLOG;
    options.flags = WEFT_SERVER_REUSE_PORT;
    int status = 0;
    for (uint32_t i = 0; i < weft_runtime_loop_count(runtime) && status == 0; i++) {
        struct weft_server *server;
        status = make(weft_runtime_loop(runtime, i), &options, &server);
        if (status < 0)
            return status;
        options.port = (uint16_t)weft_server_get_port(server);
        weft_server_unref(server);
    }
    *port_out = options.port;
    return status;
}

int weft_server_serve(const struct serving *serving, const struct weft_serving *how)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_runtime *runtime;
    struct weft_coro *coro;
    int port = 0;
    options.loops = serving->loops;
    options.spin_max_ns = how->spin_max_ns;
    options.kind = how->kind;
    int status = weft_runtime_create(&options, &runtime);
    if (status == 0)
        status = make_all(runtime, how->make, &port);
    if (status == 0)
        status = weft_fiber_new(forever, NULL, NULL, &coro);
    if (status < 0)
        return status;
    serving_announce(serving, port);
    return weft_runtime_run(runtime, coro, NULL);
}
