/*
 * Site: a runtime with one server on each of its loops. All of them listen on the same port, and the kernel spreads the connections.
 *
 * Called by main.c. Everything is made before the loops run, when whoever holds them may prepare them; from then on each shard is its
 * own loop's.
 */
#include "tools/demo/site.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "tools/demo/http.h"
#include "tools/demo/spawn.h"
#include "weft/fiber.h"
#include "weft/memory.h"
#include "weft/runtime.h"
#include "weft/server.h"

#define SECOND_NS 1000000000

/* Serve until this task is cancelled: that is when serve_forever closes the server and sees its connections off. */
static int shard_serve(void *arg, void **result_out)
{
    (void)result_out;
    struct shard *shard = arg;
    struct weft_future *served;
    int status = weft_server_serve_forever(shard->server, &served);
    if (status < 0)
        return status;
    status = weft_await(served, NULL);
    weft_future_unref(served);
    return status;
}

static void shard_set_date(struct shard *shard)
{
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(shard->date_line, sizeof(shard->date_line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n\r\n", &parts);
}

/* Keep the date that each reply carries, so that none has to ask what time it is. */
static int shard_tick(void *arg, void **result_out)
{
    (void)result_out;
    int status = 0;
    while (status == 0) {
        shard_set_date(arg);
        status = weft_sleep(SECOND_NS);
    }
    return status;
}

static int shard_listen(struct shard *shard, uint16_t port)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    options.port = port;
    options.flags = WEFT_SERVER_REUSE_PORT;
    options.backlog = 1024;
    options.header_timeout_ns = HTTP_REQUEST_NS;
    options.idle_timeout_ns = HTTP_IDLE_NS;
    options.write_timeout_ns = HTTP_WRITE_NS;
    return weft_loop_create_server(shard->loop, http_connection_new, shard, &options, &shard->server);
}

static int shard_open(struct shard *shard, uint16_t port)
{
    shard_set_date(shard);
    int status = shard_listen(shard, port);
    if (status == 0)
        status = spawn(shard->loop, shard_serve, shard, &shard->serving, "serve %u", shard->index);
    if (status == 0)
        status = spawn(shard->loop, shard_tick, shard, &shard->ticking, "tick %u", shard->index);
    return status;
}

static int site_open_shards(struct site *site, uint16_t port)
{
    for (uint32_t i = 0; i < site->count; i++) {
        struct shard *shard = &site->shards[i];
        shard->site = site;
        shard->index = i;
        shard->loop = weft_runtime_loop(site->runtime, i);
        int status = shard_open(shard, port);
        if (status < 0)
            return status;
        port = (uint16_t)weft_server_get_port(shard->server);
    }
    site->port = port;
    site->opened_ns = weft_loop_time(site->shards[0].loop);
    return 0;
}

int site_open(struct site *site, uint32_t loops, uint16_t port)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.loops = loops;
    *site = (struct site){0};
    int status = weft_runtime_create(&options, &site->runtime);
    if (status < 0)
        return status;
    site->count = weft_runtime_loop_count(site->runtime);
    site->shards = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, site->count * sizeof(struct shard));
    status = -ENOMEM;
    if (site->shards != NULL) {
        for (uint32_t i = 0; i < site->count; i++)
            site->shards[i] = (struct shard){0};
        status = site_open_shards(site, port);
    }
    if (status < 0)
        site_close(site);
    return status;
}

void site_stop(struct site *site)
{
    for (uint32_t i = 0; i < site->count; i++) {
        weft_task_cancel(site->shards[i].serving, "the site stops");
        weft_task_cancel(site->shards[i].ticking, "the site stops");
    }
    for (uint32_t i = 0; i < site->count; i++) {
        weft_await(&site->shards[i].serving->future, NULL);
        weft_await(&site->shards[i].ticking->future, NULL);
    }
}

void site_close(struct site *site)
{
    for (uint32_t i = 0; site->shards != NULL && i < site->count; i++) {
        weft_task_unref(site->shards[i].serving);
        weft_task_unref(site->shards[i].ticking);
        weft_server_unref(site->shards[i].server);
    }
    weft_runtime_shutdown(site->runtime, SECOND_NS);
    weft_runtime_destroy(site->runtime);
    weft_free(site->shards);
    *site = (struct site){0};
}
