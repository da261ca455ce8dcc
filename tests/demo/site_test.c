/*
 * Site: the server over loopback, with two loops in threads of their own and clients that misbehave.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/demo/client.h"
#include "tests/support/test.h"
#include "tests/support/wait.h"
#include "tools/demo/http.h"
#include "tools/demo/site.h"
#include "tools/demo/spawn.h"
#include "tools/demo/traffic.h"
#include "weft/fiber.h"
#include "weft/runtime.h"
#include "weft/server.h"

#define DEADLINE_MS 20000
#define PLAINTEXT   "GET /plaintext HTTP/1.1\r\nHost: weft\r\n\r\n"

static struct site site;
static struct traffic traffic;

static void start(void)
{
    http_init();
    CHECK_EQ(site_open(&site, 2, 0), 0);
    CHECK_EQ(weft_runtime_start(site.runtime), 0);
}

static int stop_site(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    site_stop(&site);
    return 0;
}

/* Run `fn` in a fiber, and wait for it. */
static void run(weft_fiber_fn *fn)
{
    struct weft_task *task;
    CHECK_EQ(spawn(site.shards[0].loop, fn, NULL, &task, "test"), 0);
    CHECK_EQ(weft_future_wait(&task->future, DEADLINE_MS * 1000000ll, NULL), 0);
    weft_task_unref(task);
}

static void stop(void)
{
    run(stop_site);
    CHECK_EQ(weft_runtime_stop(site.runtime), 0);
    site_close(&site);
}

static uint64_t requests_of(const struct shard *shard)
{
    return weft_atomic_load_relaxed(&shard->requests);
}

static bool is_deserted(void *arg)
{
    (void)arg;
    return weft_atomic_load_relaxed(&site.shards[0].connections) + weft_atomic_load_relaxed(&site.shards[1].connections) == 0;
}

Test(site, answers_sixteen_requests_of_one_write, .timeout = 60)
{
    char requests[1024] = "";
    start();
    for (int i = 0; i < 16; i++)
        strcat(requests, PLAINTEXT);
    int fd = client_connect(site.port);
    client_send(fd, requests);
    client_expect(fd, "Hello, World!", 16);
    CHECK_EQ(requests_of(&site.shards[0]) + requests_of(&site.shards[1]), 16);
    close(fd);
    stop();
}

Test(site, serves_one_port_with_all_loops, .timeout = 60)
{
    start();
    for (int i = 0; i < 500 && (requests_of(&site.shards[0]) == 0 || requests_of(&site.shards[1]) == 0); i++) {
        int fd = client_connect(site.port);
        client_send(fd, PLAINTEXT);
        client_expect(fd, "Hello, World!", 1);
        close(fd);
    }
    CHECK(requests_of(&site.shards[0]) > 0);
    CHECK(requests_of(&site.shards[1]) > 0);
    stop();
}

Test(site, outlives_resets_in_the_middle_of_requests, .timeout = 60)
{
    start();
    for (int i = 0; i < 100; i++) {
        int fd = client_connect(site.port);
        client_send(fd, i % 2 == 0 ? "GET / HT" : PLAINTEXT PLAINTEXT PLAINTEXT "GET /");
        client_reset(fd);
    }
    int fd = client_connect(site.port);
    client_send(fd, PLAINTEXT);
    client_expect(fd, "Hello, World!", 1);
    close(fd);
    CHECK(wait_until(is_deserted, NULL, DEADLINE_MS));
    stop();
}

Test(site, closes_a_connection_whose_header_stalls, .timeout = 60)
{
    struct weft_server_options options = WEFT_SERVER_OPTIONS;
    struct weft_server *server;
    http_init();
    CHECK_EQ(site_open(&site, 2, 0), 0);
    options.host = "127.0.0.1";
    options.header_timeout_ns = 20000000;
    CHECK_EQ(weft_loop_create_server(site.shards[0].loop, http_connection_new, &site.shards[0], &options, &server), 0);
    uint16_t port = (uint16_t)weft_server_get_port(server);
    CHECK_EQ(weft_runtime_start(site.runtime), 0);

    int patient = client_connect(port);
    client_send(patient, PLAINTEXT);
    client_expect(patient, "Hello, World!", 1);
    int stalled = client_connect(port);
    client_send(stalled, "GET /plaintext HTTP/1.1\r\nHost: we");
    client_expect_end(stalled);
    client_send(patient, PLAINTEXT); /* between requests nothing stalls */
    client_expect(patient, "Hello, World!", 1);
    close(patient);
    close(stalled);
    CHECK(wait_until(is_deserted, NULL, DEADLINE_MS));
    run(stop_site);
    CHECK_EQ(weft_runtime_stop(site.runtime), 0);
    weft_server_unref(server);
    site_close(&site);
}

Test(site, lets_a_refused_peer_read_why, .timeout = 60)
{
    static char junk[1 << 20];
    start();
    memset(junk, 'x', sizeof(junk) - 1);
    int fd = client_connect(site.port);
    client_send(fd, "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n");
    client_send(fd, junk);
    client_expect(fd, "413 Payload Too Large", 2); /* status line and body */
    CHECK_EQ(client_expect_end(fd), 0);
    close(fd);
    stop();
}

Test(site, answers_a_peer_that_reads_late, .timeout = 60)
{
    enum { COUNT = 4000 };
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    char *requests = malloc(COUNT * (sizeof(request) - 1) + 1);
    CHECK(requests != NULL);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(requests + i * (sizeof(request) - 1), request, sizeof(request));
    start();
    int fd = client_connect(site.port);
    client_send(fd, requests);
    CHECK(client_expect(fd, "</html>", COUNT) > 1000 * COUNT);
    close(fd);
    free(requests);
    stop();
}

Test(site, ends_open_connections_in_order_as_it_stops, .timeout = 60)
{
    start();
    int fd = client_connect(site.port);
    client_send(fd, PLAINTEXT);
    client_expect(fd, "Hello, World!", 1);
    stop();
    CHECK_EQ(client_expect_end(fd), 0);
    close(fd);
}

static bool has_passed(void *arg)
{
    (void)arg;
    return weft_atomic_load_relaxed(&site.shards[0].passes) >= 100 && weft_atomic_load_relaxed(&site.shards[1].passes) >= 100;
}

static int stop_traffic(void *arg, void **result_out)
{
    (void)arg;
    (void)result_out;
    traffic_stop(&traffic);
    return 0;
}

Test(traffic, completes_futures_both_ways_until_it_is_stopped, .timeout = 60)
{
    start();
    CHECK_EQ(traffic_start(&traffic, &site, 1000), 0);
    CHECK(wait_until(has_passed, NULL, DEADLINE_MS));
    run(stop_traffic);
    uint64_t passes = weft_atomic_load_relaxed(&site.shards[0].passes) + weft_atomic_load_relaxed(&site.shards[1].passes);
    CHECK(passes >= 200);
    stop();
}
