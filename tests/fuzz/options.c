/*
 * Options: the structs that public calls are given, with any `size` and any bytes in their scalar fields.
 *
 * A struct lies in a block of exactly as many bytes as its size says, as a caller's that was compiled against another header may, so that
 * AddressSanitizer sees who reads beyond. What is made of it must then work, in virtual time. A call may refuse; it must not crash, leak,
 * or wait for ever.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "weft/executor.h"
#include "weft/fiber.h"
#include "weft/poller.h"
#include "weft/resolve.h"
#include "weft/runtime.h"
#include "weft/server.h"
#include "weft/sim.h"
#include "weft/status.h"
#include "weft/task.h"
#include "weft/transport.h"

/* ---- shapes ---------------------------------------------------------------------------------------------------------------------- */

/* A scalar field, or one that points to a string. */
struct field {
    size_t offset, width;
    bool is_string;
};

#define FIELD(type, name)                                                                                                                  \
    {                                                                                                                                      \
        offsetof(struct type, name), sizeof(((struct type *)0)->name), false                                                               \
    }
#define STRING(type, name)                                                                                                                 \
    {                                                                                                                                      \
        offsetof(struct type, name), sizeof(char *), true                                                                                  \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const strings[] = {NULL,     "127.0.0.1",    "localhost", "::1",     "@fuzz",     "",
                                      "nobody", "/fuzz/socket", "10.0.0.1",  "0.0.0.0", "fe80::1%lo"};

static uint64_t any_value(struct fuzz *fuzz)
{
    uint64_t value = 0;
    switch (fuzz_below(fuzz, 10)) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return UINT64_MAX;
    case 3:
        return INT64_MAX;
    case 4:
        return (uint64_t)INT64_MIN;
    case 5:
        return INT32_MAX;
    case 6:
        return UINT64_C(1) << fuzz_below(fuzz, 64);
    case 7:
        return (uint64_t) - (int64_t)fuzz_byte(fuzz);
    case 8:
        fuzz_fill(fuzz, &value, sizeof(value));
        return value;
    default:
        return fuzz_below(fuzz, 64);
    }
}

static size_t any_size(struct fuzz *fuzz, size_t full)
{
    switch (fuzz_below(fuzz, 4)) {
    case 0:
    case 1:
        return full;
    case 2:
        return full + 16;
    default:
        return fuzz_byte(fuzz) % full;
    }
}

/* A copy of `defaults`, `full` bytes, of another size, with some of its fields changed. It always has the word `size` itself. */
static void *shape(struct fuzz *fuzz, const void *defaults, size_t full, const struct field *fields, size_t field_count)
{
    size_t size = any_size(fuzz, full), bytes = size < sizeof(size) ? sizeof(size) : size;
    char *block = calloc(1, bytes);
    CHECK(block != NULL);
    memcpy(block, defaults, bytes < full ? bytes : full);
    for (uint32_t edits = fuzz_below(fuzz, 8); edits > 0; edits--) {
        const struct field *field = &fields[fuzz_below(fuzz, (uint32_t)field_count)];
        const char *string = field->is_string ? strings[fuzz_below(fuzz, COUNT(strings))] : NULL;
        uint64_t value = field->is_string ? (uint64_t)(uintptr_t)string : any_value(fuzz);
        if (field->offset + field->width <= bytes)
            memcpy(block + field->offset, &value, field->width); /* little-endian: the low bytes */
    }
    memcpy(block, &size, sizeof(size));
    return block;
}

/* ---- a runtime ------------------------------------------------------------------------------------------------------------------- */

static int nothing(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return weft_sleep(1000);
}

/* Some calls are made while a loop runs: `fn(arg)` in a fiber of a runtime in virtual time. */
static int in_fiber(weft_fiber_fn *fn, void *arg)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    struct weft_coro *coro;
    options.driver = WEFT_DRIVER_SIM;
    options.loops = 2;
    CHECK_EQ(weft_fiber_new(fn, arg, NULL, &coro), 0);
    return weft_run(coro, &options, NULL);
}

/* It runs one fiber, and shuts down over another that sleeps. */
static void use_runtime(struct fuzz *fuzz, struct weft_runtime *runtime)
{
    struct weft_coro *coro;
    CHECK(weft_runtime_loop_count(runtime) >= 1);
    CHECK_EQ(weft_loop_spawn_fiber(weft_runtime_loop(runtime, 0), nothing, NULL, NULL), 0);
    CHECK_EQ(weft_fiber_new(nothing, NULL, NULL, &coro), 0);
    CHECK_EQ(weft_runtime_run(runtime, coro, NULL), 0);
    CHECK_EQ(weft_loop_spawn_fiber(weft_runtime_loop(runtime, 0), nothing, NULL, NULL), 0);
    int status = weft_runtime_shutdown(runtime, (int64_t)any_value(fuzz));
    CHECK(status == 0 || status == -ETIMEDOUT);
}

static void fuzz_runtime(struct fuzz *fuzz)
{
    static const struct weft_runtime_options defaults = WEFT_RUNTIME_OPTIONS;
    static const struct field fields[] = {
        FIELD(weft_runtime_options, loops),
        FIELD(weft_runtime_options, main_loop),
        FIELD(weft_runtime_options, flags),
        FIELD(weft_runtime_options, driver),
        FIELD(weft_runtime_options, seed),
        FIELD(weft_runtime_options, spin_max_ns),
        FIELD(weft_runtime_options, executor_threads_max),
        FIELD(weft_runtime_options, executor_queue_max),
        FIELD(weft_runtime_options, drain_ns),
        FIELD(weft_runtime_options, cancel_ns),
        FIELD(weft_runtime_options, executor_ns),
        FIELD(weft_runtime_options, stall_ns),
    };
    struct weft_runtime_options sim = defaults;
    sim.driver = WEFT_DRIVER_SIM;
    struct weft_runtime_options *options = shape(fuzz, &sim, sizeof(sim), fields, COUNT(fields));
    struct weft_runtime *runtime;
    /* As many loops as are asked for are made; four are enough, and more than any runtime may have. */
    if (options->size >= offsetof(struct weft_runtime_options, main_loop) && options->loops > 4 && options->loops <= 4096)
        options->loops = 4;
    int status = weft_runtime_create(options, &runtime);
    if (status == 0 && options->driver == WEFT_DRIVER_SIM)
        use_runtime(fuzz, runtime);
    if (status == 0)
        weft_runtime_destroy(runtime);
    CHECK(status == 0 || status == -EINVAL);
    free(options);
}

/* ---- loops ----------------------------------------------------------------------------------------------------------------------- */

/* Memory of any size would be had, or not: sizes that nobody has, or small ones. */
static void limit_user_bytes(struct weft_loop_options *options)
{
    if (options->size >= offsetof(struct weft_loop_options, poller) && options->user_bytes <= PTRDIFF_MAX / 2)
        options->user_bytes %= 4096;
}

static void use_loop(struct weft_loop *loop)
{
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_fiber(loop, nothing, NULL, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    weft_task_unref(task);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

static void fuzz_loop(struct fuzz *fuzz)
{
    static const struct weft_loop_options defaults = WEFT_LOOP_OPTIONS;
    static const struct field fields[] = {FIELD(weft_loop_options, user_bytes)};
    bool is_runtimes = fuzz_below(fuzz, 2) == 1;
    struct weft_loop_options *options = shape(fuzz, &defaults, sizeof(defaults), fields, COUNT(fields));
    limit_user_bytes(options);
    int status;
    if (is_runtimes) {
        struct weft_runtime_options runtime_options = WEFT_RUNTIME_OPTIONS;
        struct weft_runtime *runtime;
        runtime_options.driver = WEFT_DRIVER_SIM;
        runtime_options.loops = 1;
        runtime_options.loop_options = options;
        status = weft_runtime_create(&runtime_options, &runtime);
        if (status == 0)
            weft_runtime_destroy(runtime);
    } else {
        struct weft_loop *loop;
        status = weft_loop_new_options(weft_loop_kind_sim(), options, &loop);
        if (status == 0)
            use_loop(loop);
    }
    CHECK(status == 0 || status == -EINVAL);
    free(options);
}

static void fuzz_poller(struct fuzz *fuzz)
{
    static const struct weft_poller_options defaults = {sizeof(defaults), 0, NULL};
    static const struct field fields[] = {FIELD(weft_poller_options, events_max)};
    struct weft_poller_options *poller = shape(fuzz, &defaults, sizeof(defaults), fields, COUNT(fields));
    struct weft_loop_options options = WEFT_LOOP_OPTIONS;
    struct weft_loop *loop;
    bool is_sim = fuzz_below(fuzz, 2) == 1;
    if (poller->size >= offsetof(struct weft_poller_options, world))
        poller->events_max %= 1024; /* memory, as above */
    options.poller = poller;
    int status = weft_loop_new_options(is_sim ? weft_loop_kind_sim() : weft_loop_kind_epoll(), &options, &loop);
    if (status == 0)
        use_loop(loop);
    CHECK(status == 0 || status == -EINVAL);
    free(poller);
}

/* A kind that is little more than its size: what it lacks it inherits. */
static void fuzz_kind(struct fuzz *fuzz)
{
    static const struct field none[] = {{offsetof(struct weft_loop_kind, size), sizeof(size_t), false}};
    const struct weft_loop_kind defaults = {.size = sizeof(defaults), .name = "own", .base = weft_loop_kind_sim()};
    const struct weft_transport_ops transports = {.size = sizeof(transports)};
    struct weft_loop_kind *kind = shape(fuzz, &defaults, sizeof(defaults), none, COUNT(none));
    struct weft_transport_ops *ops = shape(fuzz, &transports, sizeof(transports), none, COUNT(none));
    struct weft_loop *loop;
    if (kind->size > offsetof(struct weft_loop_kind, transport) + sizeof(kind->transport) - 1)
        kind->transport = ops;
    int status = weft_loop_new(kind, 0, &loop);
    if (status == 0)
        use_loop(loop);
    CHECK(status == 0 || status == WEFT_EPROTOCOL);
    free(kind);
    free(ops);
}

/* ---- tasks and executors --------------------------------------------------------------------------------------------------------- */

static int make_tasks(void *arg, void **result_out)
{
    static const struct weft_fiber_options fiber_defaults = WEFT_FIBER_OPTIONS;
    static const struct weft_task_options task_defaults = WEFT_TASK_OPTIONS;
    static const struct field fiber_fields[] = {FIELD(weft_fiber_options, stack), FIELD(weft_fiber_options, reserved)};
    static const struct field task_fields[] = {FIELD(weft_task_options, flags), FIELD(weft_task_options, reserved),
                                               STRING(weft_task_options, name)};
    struct fuzz *fuzz = arg;
    struct weft_loop *loop = weft_get_running_loop();
    (void)result_out;
    struct weft_fiber_options *fiber = shape(fuzz, &fiber_defaults, sizeof(fiber_defaults), fiber_fields, COUNT(fiber_fields));
    struct weft_task_options *options = shape(fuzz, &task_defaults, sizeof(task_defaults), task_fields, COUNT(task_fields));
    struct weft_coro *coro;
    struct weft_task *task;
    int status = weft_fiber_new(nothing, NULL, fiber, &coro);
    CHECK(status == 0 || status == -EINVAL);
    if (status == 0) {
        status = fuzz_below(fuzz, 2) == 0 ? weft_loop_create_task(loop, coro, options, &task) : weft_loop_spawn(loop, coro, options, &task);
        CHECK(status == 0 || status == -EINVAL);
    }
    if (status == 0) {
        CHECK_EQ(weft_await(&task->future, NULL), 0);
        weft_task_unref(task);
    }
    free(options);
    free(fiber);
    return 0;
}

static void fuzz_tasks(struct fuzz *fuzz)
{
    CHECK_EQ(in_fiber(make_tasks, fuzz), 0);
}

static void fuzz_executor(struct fuzz *fuzz)
{
    static const struct weft_executor_options defaults = WEFT_EXECUTOR_OPTIONS;
    static const struct field fields[] = {FIELD(weft_executor_options, threads_max), FIELD(weft_executor_options, queue_max),
                                          STRING(weft_executor_options, name)};
    struct weft_executor_options *options = shape(fuzz, &defaults, sizeof(defaults), fields, COUNT(fields));
    struct weft_executor *executor;
    int status = weft_executor_create(options, &executor);
    if (status == 0) {
        CHECK_EQ(weft_executor_shutdown(executor, (int64_t)any_value(fuzz)), 0);
        weft_executor_unref(executor);
    }
    CHECK(status == 0 || status == -EINVAL);
    free(options);
}

/* ---- connections ----------------------------------------------------------------------------------------------------------------- */

static int made, lost;

static int on_made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    (void)protocol, (void)transport;
    made++;
    return 0;
}

static int on_lost(struct weft_protocol *protocol, int status)
{
    (void)protocol, (void)status;
    lost++;
    return 0;
}

static const struct weft_protocol_ops plain_ops = {.size = sizeof(plain_ops), .connection_made = on_made, .connection_lost = on_lost};
static struct weft_protocol plain = {&plain_ops};

static int make_protocol(void *arg, struct weft_protocol **protocol_out)
{
    *protocol_out = arg;
    return 0;
}

static void close_connection(struct weft_future *connecting)
{
    void *transport;
    if (weft_await(connecting, &transport) == 0)
        CHECK_EQ(weft_transport_close(transport), 0);
    weft_future_unref(connecting);
}

static void end_server(struct weft_server *server)
{
    struct weft_future *closed;
    CHECK_EQ(weft_server_close(server), 0);
    CHECK_EQ(weft_server_close_clients(server), 0);
    CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
    CHECK_EQ(weft_await(closed, NULL), 0);
    weft_future_unref(closed);
    weft_server_unref(server);
}

/* A descriptor that is none, or no socket: never one that is open. */
static void limit_fd(struct weft_server_options *options)
{
    static const int fds[] = {-1, -2, INT_MIN, 100000, INT_MAX};
    if (options->size >= offsetof(struct weft_server_options, port))
        options->fd = fds[(unsigned)options->fd % COUNT(fds)];
}

static void visit(struct weft_loop *loop, struct weft_server *server)
{
    struct weft_connection_options to = WEFT_CONNECTION_OPTIONS;
    struct weft_future *connecting;
    int port = weft_server_get_port(server);
    to.host = "127.0.0.1";
    to.port = (uint16_t)port;
    to.timeout_ns = 1000000000;
    if (port <= 0)
        return;
    CHECK_EQ(weft_loop_create_connection(loop, make_protocol, &plain, &to, &connecting), 0);
    close_connection(connecting);
}

static int make_server(void *arg, void **result_out)
{
    static const struct weft_server_options defaults = WEFT_SERVER_OPTIONS;
    static const struct field fields[] = {
        STRING(weft_server_options, host),
        STRING(weft_server_options, path),
        FIELD(weft_server_options, fd),
        FIELD(weft_server_options, port),
        FIELD(weft_server_options, reserved),
        FIELD(weft_server_options, family),
        FIELD(weft_server_options, backlog),
        FIELD(weft_server_options, flags),
        FIELD(weft_server_options, connections_max),
        FIELD(weft_server_options, idle_timeout_ns),
        FIELD(weft_server_options, write_timeout_ns),
        FIELD(weft_server_options, header_timeout_ns),
        FIELD(weft_server_options, write_buffer_max),
    };
    struct fuzz *fuzz = arg;
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_server *server = NULL;
    struct weft_future *serving = NULL;
    void *value;
    (void)result_out;
    struct weft_server_options *options = shape(fuzz, &defaults, sizeof(defaults), fields, COUNT(fields));
    limit_fd(options);
    int status;
    if (fuzz_below(fuzz, 2) == 0) {
        status = weft_loop_create_server(loop, make_protocol, &plain, options, &server);
    } else {
        status = weft_loop_create_server_async(loop, make_protocol, &plain, options, &serving);
        if (status == 0 && (status = weft_await(serving, &value)) == 0)
            server = weft_server_ref(value);
        weft_future_unref(serving);
    }
    free(options);
    CHECK(status <= 0);
    if (status < 0)
        return 0;
    visit(loop, server);
    end_server(server);
    return 0;
}

static void fuzz_server(struct fuzz *fuzz)
{
    made = lost = 0;
    CHECK_EQ(in_fiber(make_server, fuzz), 0);
    CHECK_EQ(made, lost);
}

static int make_connection(void *arg, void **result_out)
{
    static const struct weft_connection_options defaults = WEFT_CONNECTION_OPTIONS;
    static const struct field fields[] = {
        STRING(weft_connection_options, host),
        STRING(weft_connection_options, path),
        STRING(weft_connection_options, local_host),
        FIELD(weft_connection_options, port),
        FIELD(weft_connection_options, local_port),
        FIELD(weft_connection_options, family),
        FIELD(weft_connection_options, happy_eyeballs_delay_ns),
        FIELD(weft_connection_options, interleave),
        FIELD(weft_connection_options, flags),
        FIELD(weft_connection_options, timeout_ns),
    };
    struct fuzz *fuzz = arg;
    struct weft_loop *loop = weft_get_running_loop();
    struct weft_server_options server_options = WEFT_SERVER_OPTIONS;
    struct weft_connection_options full = defaults;
    struct weft_server *server;
    struct weft_future *connecting;
    (void)result_out;
    server_options.host = "127.0.0.1";
    CHECK_EQ(weft_loop_create_server(loop, make_protocol, &plain, &server_options, &server), 0);
    full.host = "localhost";
    full.port = (uint16_t)weft_server_get_port(server);
    struct weft_connection_options *options = shape(fuzz, &full, sizeof(full), fields, COUNT(fields));
    int status = weft_loop_create_connection(loop, make_protocol, &plain, options, &connecting);
    free(options);
    CHECK(status <= 0);
    if (status == 0)
        close_connection(connecting);
    end_server(server);
    return 0;
}

static void fuzz_connection(struct fuzz *fuzz)
{
    made = lost = 0;
    CHECK_EQ(in_fiber(make_connection, fuzz), 0);
    CHECK_EQ(made, lost);
}

static int resolve(void *arg, void **result_out)
{
    static const struct weft_resolve_options defaults = WEFT_RESOLVE_OPTIONS;
    static const struct field fields[] = {
        FIELD(weft_resolve_options, family),
        FIELD(weft_resolve_options, type),
        FIELD(weft_resolve_options, protocol),
        FIELD(weft_resolve_options, flags),
    };
    struct fuzz *fuzz = arg;
    struct weft_future *future;
    (void)result_out;
    const char *host = strings[fuzz_below(fuzz, COUNT(strings))], *service = fuzz_below(fuzz, 2) == 0 ? NULL : "80";
    struct weft_resolve_options *options = shape(fuzz, &defaults, sizeof(defaults), fields, COUNT(fields));
    int status = weft_loop_getaddrinfo(weft_get_running_loop(), host, service, options, &future);
    free(options);
    CHECK(status <= 0);
    if (status < 0)
        return 0;
    void *value;
    if (weft_await(future, &value) == 0)
        CHECK(((const struct weft_address_list *)value)->count > 0);
    weft_future_unref(future);
    return 0;
}

static void fuzz_resolve(struct fuzz *fuzz)
{
    CHECK_EQ(in_fiber(resolve, fuzz), 0);
}

/* What a maker of transports reads its arguments with, whichever of the two is older. */
static void fuzz_make_socket(struct fuzz *fuzz)
{
    static const struct field fields[] = {FIELD(weft_make_socket, fd), FIELD(weft_make_socket, flags)};
    struct weft_make_socket known = {.size = sizeof(known), .protocol = &plain, .fd = 7, .flags = 1};
    struct weft_make_socket *args = shape(fuzz, &known, sizeof(known), fields, COUNT(fields));
    struct weft_make_socket *read = shape(fuzz, &known, sizeof(known), fields, COUNT(fields));
    size_t size = read->size;
    int status = weft_make_socket_get(args, read);
    CHECK(status == 0 || status == WEFT_EPROTOCOL);
    CHECK_EQ(read->size, size);
    if (status == 0)
        CHECK(read->protocol == &plain);
    free(args);
    free(read);
}

/* ---- simulated worlds ------------------------------------------------------------------------------------------------------------ */

static struct weft_sim_host *make_host(struct fuzz *fuzz, struct weft_sim *sim)
{
    static const struct weft_sim_host_options defaults = WEFT_SIM_HOST_OPTIONS;
    static const struct field fields[] = {
        STRING(weft_sim_host_options, name), STRING(weft_sim_host_options, address),      STRING(weft_sim_host_options, address6),
        FIELD(weft_sim_host_options, cpus),  FIELD(weft_sim_host_options, reserved_word),
    };
    struct weft_sim_host_options *options = shape(fuzz, &defaults, sizeof(defaults), fields, COUNT(fields));
    struct weft_sim_host *host = NULL;
    if (options->size >= offsetof(struct weft_sim_host_options, reserved_word) && options->cpus > 4 && options->cpus <= 4096)
        options->cpus = 4; /* as many loops */
    int status = weft_sim_host_create(sim, options, &host);
    CHECK(status == 0 || status == -EINVAL || status == -EEXIST);
    free(options);
    return host;
}

static void run_on_host(struct fuzz *fuzz, struct weft_sim_host *host)
{
    struct weft_sim_host *before = weft_sim_host_enter(host);
    struct weft_runtime *runtime;
    int status = weft_runtime_create(NULL, &runtime);
    if (status == 0) {
        use_runtime(fuzz, runtime);
        weft_runtime_destroy(runtime);
    }
    CHECK(status == 0 || status == -EINVAL);
    weft_sim_host_enter(before);
}

static void fuzz_sim(struct fuzz *fuzz)
{
    static const struct weft_sim_options defaults = WEFT_SIM_OPTIONS;
    static const struct field fields[] = {
        FIELD(weft_sim_options, seed),
        FIELD(weft_sim_options, late_permille),
        FIELD(weft_sim_options, stealable_max),
        FIELD(weft_sim_options, wall_ns),
    };
    struct weft_sim_options *options = shape(fuzz, &defaults, sizeof(defaults), fields, COUNT(fields));
    struct weft_sim *sim;
    int status = weft_sim_create(options, &sim);
    CHECK(status == 0 || status == -EINVAL);
    free(options);
    if (status < 0)
        return;
    struct weft_sim_host *host = make_host(fuzz, sim);
    if (host != NULL)
        run_on_host(fuzz, host);
    (void)make_host(fuzz, sim);
    weft_sim_destroy(sim);
}

void fuzz_target(struct fuzz *fuzz)
{
    static void (*const targets[])(struct fuzz * fuzz) = {
        fuzz_runtime, fuzz_loop,       fuzz_poller,  fuzz_kind,        fuzz_tasks, fuzz_executor,
        fuzz_server,  fuzz_connection, fuzz_resolve, fuzz_make_socket, fuzz_sim,
    };
    while (fuzz_has_more(fuzz))
        targets[fuzz_below(fuzz, COUNT(targets))](fuzz);
}
