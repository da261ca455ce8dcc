/*
 * What the table of faults has found, each by its behaviour.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test.h"

#include "lib/base/thread.h"
#include "tests/faults/scene.h"
#include "tests/faults/shim.h"
#include "weft/context.h"
#include "weft/future.h"
#include "weft/loop.h"

static int served;

static int serve(struct weft_stream *stream, void *arg)
{
    (void)stream, (void)arg;
    served++;
    return 0;
}

static struct weft_server *listen_at(struct weft_server_options *options)
{
    struct weft_server *server;
    options->path = options->fd >= 0 ? NULL : scene_abstract_name();
    CHECK_EQ(weft_loop_start_stream_server(weft_get_running_loop(), serve, NULL, options, &server), 0);
    return server;
}

static void close_and_wait(struct weft_server *server)
{
    struct weft_future *closed;
    CHECK_EQ(weft_server_close(server), 0);
    CHECK_EQ(weft_server_wait_closed(server, &closed), 0);
    CHECK_EQ(weft_await(closed, NULL), 0);
    weft_future_unref(closed);
    weft_server_unref(server);
}

/* ---- servers ---------------------------------------------------------------------------------------------------------------------- */

enum { CALLERS = 4 };

/* Any error that accept has from the connection, and not only the one that POSIX names. */
static int close_over_dead_ones(void *arg, void **result_out)
{
    static const int errors[] = {ECONNABORTED, EPROTO, ENETUNREACH, EHOSTUNREACH, EINTR};
    (void)arg, (void)result_out;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct weft_server_options options = WEFT_SERVER_OPTIONS;
        struct weft_server *server = listen_at(&options);
        int callers[CALLERS];
        for (int caller = 0; caller < CALLERS; caller++)
            callers[caller] = peer_connect_unix(scene_abstract_name());
        served = 0;
        shim_start(&(struct shim_rule){.call = SHIM_accept4, .selector = SHIM_ANY, .error = errors[i], .first = 1});
        close_and_wait(server);
        CHECK_EQ(shim_stop(), 1);
        CHECK_EQ(served, CALLERS);
        for (int caller = 0; caller < CALLERS; caller++)
            peer_close(callers[caller]);
    }
    return 0;
}

Test(regression, a_close_serves_what_waits_behind_a_connection_that_is_gone, .timeout = 20)
{
    struct tally tally = {0};
    scene_in_runtime(&tally, 1, close_over_dead_ones);
    CHECK_EQ(tally.failed, 0);
}

static int rebind(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    for (int i = 0; i < 20; i++) {
        struct weft_server_options options = WEFT_SERVER_OPTIONS;
        close_and_wait(listen_at(&options));
    }
    return 0;
}

Test(regression, an_address_is_free_once_its_server_is_waited_for, .timeout = 20)
{
    struct tally tally = {0};
    scene_in_runtime(&tally, 1, rebind);
    CHECK_EQ(tally.failed, 0);
}

/* A loop that blocks in accept would come to none of what follows. */
static int serve_blocking(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    int port;
    (void)arg, (void)result_out;
    options.fd = peer_listen_tcp(&port);
    CHECK_EQ(fcntl(options.fd, F_SETFL, 0), 0);
    CHECK_EQ(fcntl(options.fd, F_SETFD, 0), 0);
    struct weft_server *server = listen_at(&options);
    CHECK_EQ(fcntl(options.fd, F_GETFD), FD_CLOEXEC);
    int caller = peer_connect_tcp(port);
    served = 0;
    while (served == 0)
        CHECK_EQ(weft_yield(), 0);
    CHECK_EQ(weft_yield(), 0);
    peer_close(caller);
    close_and_wait(server);
    return 0;
}

Test(regression, a_blocking_descriptor_that_a_server_is_given_does_not_block_its_loop, .timeout = 20)
{
    struct tally tally = {0};
    scene_in_runtime(&tally, 1, serve_blocking);
    CHECK_EQ(tally.failed, 0);
}

static int serve_no_stream(void *arg, void **result_out)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    (void)arg, (void)result_out;
    options.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(weft_loop_start_stream_server(weft_get_running_loop(), serve, NULL, &options, &server), -EINVAL);
    CHECK_EQ(fcntl(options.fd, F_GETFL) & O_NONBLOCK, 0);
    peer_close(options.fd);
    return 0;
}

Test(regression, a_descriptor_that_is_no_stream_is_refused_untouched, .timeout = 20)
{
    struct tally tally = {0};
    scene_in_runtime(&tally, 1, serve_no_stream);
    CHECK_EQ(tally.failed, 0);
}

/* ---- loops ------------------------------------------------------------------------------------------------------------------------ */

static int sleep_a_while(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return weft_sleep(60000000000);
}

Test(regression, a_loop_that_spins_is_left_when_its_poller_is_broken, .timeout = 20)
{
    struct weft_runtime_options options = scene_options(1);
    struct tally tally = {0};
    struct weft_runtime *runtime;
    options.spin_max_ns = 10000000;
    CHECK_EQ(scene_runtime(&tally, &options, &runtime), 0);
    shim_start(&(struct shim_rule){.call = SHIM_epoll_wait, .selector = SHIM_ANY, .error = EBADF, .first = 3, .step = 1});
    scene_run(&tally, runtime, sleep_a_while);
    CHECK(shim_stop() > 0);
    CHECK_EQ(tally.failed, 1);
    CHECK_EQ(tally.statuses[0], -EBADF);
    scene_end(&tally, runtime);
    CHECK(tally.has_echoed);
}

/* ---- contexts --------------------------------------------------------------------------------------------------------------------- */

static const struct weft_context_var variable = WEFT_CONTEXT_VAR("variable", NULL);

static void set_in_thread(void *arg)
{
    *(int *)arg = weft_context_var_set(&variable, arg, NULL);
}

static int set_elsewhere(void)
{
    struct thread thread;
    int status = 1;
    CHECK_EQ(thread_start(&thread, NULL, set_in_thread, &status), 0);
    thread_join(&thread);
    return status;
}

Test(regression, variables_are_set_again_once_a_key_can_be_had, .timeout = 20)
{
    shim_start(&(struct shim_rule){.call = SHIM_pthread_key_create, .selector = SHIM_ANY, .error = EAGAIN, .first = 1});
    CHECK_EQ(set_elsewhere(), -ENOMEM);
    CHECK_EQ(set_elsewhere(), 0);
    CHECK_EQ(shim_stop(), 1);
}
