/*
 * ADD-8 and EXT-1: a plug-in that was compiled against yesterday's headers still loads, and its loops run.
 *
 * The plug-in is the example of custom_loop.c, built as a shared object against headers whose tables, and whose arguments of make_socket,
 * lack their last member (older_headers.awk). It brings no copy of the library: this program lends it its own.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/examples/custom_loop.h"
#include "tests/support/test.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/poller.h"
#include "weft/status.h"
#include "weft/task.h"
#include "weft/transport.h"

#ifndef PLUGIN
#define PLUGIN "tests/examples/custom_loop_older.so"
#endif

struct plugin {
    void *handle;
    const struct weft_loop_kind *kind;
    void (*get_counts)(struct weft_loop *loop, struct custom_counts *counts_out);
    struct weft_loop *loop;
};

static void *plugin_symbol(const struct plugin *plugin, const char *name)
{
    void *symbol = dlsym(plugin->handle, name);
    CHECK(symbol != NULL);
    return symbol;
}

static void plugin_open(struct plugin *plugin)
{
    const struct weft_loop_kind *(*get_kind)(void);
    plugin->handle = dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (plugin->handle == NULL)
        test_fail(__FILE__, __LINE__, "%s", dlerror());
    void *symbol = plugin_symbol(plugin, "custom_loop_kind");
    memcpy(&get_kind, &symbol, sizeof(get_kind));
    symbol = plugin_symbol(plugin, "custom_loop_get_counts");
    memcpy(&plugin->get_counts, &symbol, sizeof(plugin->get_counts));
    plugin->kind = get_kind();
    CHECK_EQ(weft_loop_new(plugin->kind, sizeof(struct custom_counts), &plugin->loop), 0);
}

static void plugin_close(struct plugin *plugin)
{
    CHECK_EQ(weft_loop_close(plugin->loop), 0);
    weft_loop_unref(plugin->loop);
    CHECK_EQ(dlclose(plugin->handle), 0);
}

Test(plugin, was_compiled_against_shorter_tables, .timeout = 10)
{
    struct plugin plugin;
    plugin_open(&plugin);
    CHECK_EQ(plugin.kind->size + sizeof(void *), sizeof(struct weft_loop_kind));
    CHECK_EQ(plugin.kind->poller->size + sizeof(void *), sizeof(struct weft_poller_ops));
    CHECK_EQ(plugin.kind->transport->size + sizeof(void *), sizeof(struct weft_transport_ops));
    plugin_close(&plugin);
}

static int stop_loop(void *loop)
{
    return weft_loop_stop(loop);
}

static void *stop_elsewhere(void *loop)
{
    CHECK_EQ(weft_loop_call_soon_threadsafe(loop, stop_loop, loop, NULL, NULL), 0);
    return NULL;
}

Test(plugin, has_loops_that_run_sleep_and_are_woken, .timeout = 10)
{
    struct plugin plugin;
    struct custom_counts counts;
    pthread_t thread;
    plugin_open(&plugin);
    CHECK_EQ(weft_loop_call_later(plugin.loop, 1000000, stop_loop, plugin.loop, NULL), 0);
    CHECK_EQ(weft_loop_run_forever(plugin.loop), 0);
    CHECK_EQ(pthread_create(&thread, NULL, stop_elsewhere, plugin.loop), 0);
    CHECK_EQ(weft_loop_run_forever(plugin.loop), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    plugin.get_counts(plugin.loop, &counts);
    CHECK_EQ(counts.inits, 1);
    CHECK(counts.waits > 0);
    plugin_close(&plugin);
}

/* ---- EXT-1 -------------------------------------------------------------------------------------------------------------------------- */

static int received_bytes;

static int protocol_received(struct weft_protocol *protocol, const void *data, size_t len)
{
    (void)protocol, (void)data;
    received_bytes += (int)len;
    return 0;
}

static int protocol_lost(struct weft_protocol *protocol, int status)
{
    (void)protocol;
    CHECK_EQ(status, 0);
    return weft_loop_stop(weft_get_running_loop());
}

static const struct weft_protocol_ops protocol_ops = {
    .size = sizeof(protocol_ops), .data_received = protocol_received, .connection_lost = protocol_lost};
static struct weft_protocol the_protocol = {.ops = &protocol_ops};

static int make_protocol(void *unused, struct weft_protocol **protocol_out)
{
    (void)unused;
    *protocol_out = &the_protocol;
    return 0;
}

Test(plugin, makes_transports_for_a_library_that_gives_more_arguments, .timeout = 10)
{
    struct plugin plugin;
    struct custom_counts counts;
    struct weft_future *future;
    int fds[2];
    plugin_open(&plugin);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(weft_loop_connect_accepted_socket(plugin.loop, make_protocol, NULL, fds[0], &future), 0);
    CHECK_EQ(write(fds[1], "hello", 5), 5);
    close(fds[1]);
    CHECK_EQ(weft_loop_run_forever(plugin.loop), 0);
    CHECK_EQ(received_bytes, 5);
    CHECK_EQ(weft_future_result(future, NULL), 0);
    weft_future_unref(future);
    plugin.get_counts(plugin.loop, &counts);
    CHECK_EQ(counts.sockets, 1);
    plugin_close(&plugin);
}
