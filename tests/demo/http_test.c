/*
 * HTTP, fed by hand: routes, pipelining, limits, refusals, and what happens to a peer that does not read.
 */
#include <stdio.h>
#include <string.h>

#include "tests/demo/wire.h"
#include "tests/support/test.h"
#include "tools/demo/http.h"

#define GET(path)   "GET " path " HTTP/1.1\r\nHost: weft\r\n\r\n"
#define PLAINTEXT   GET("/plaintext")
#define STATUS_LINE "HTTP/1.1 "

/* ---- routes ------------------------------------------------------------------------------------------------------------------- */

Test(http, answers_plaintext_in_one_write, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, PLAINTEXT), 0);
    CHECK_STR(wire->out, "HTTP/1.1 200 OK\r\nServer: weft\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nDate: today\r\n\r\n"
                         "Hello, World!");
    CHECK_EQ(wire->writes, 1);
    wire_close(wire);
}

Test(http, answers_json, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, GET("/json")), 0);
    CHECK_EQ(wire_count(wire, "Content-Type: application/json\r\nContent-Length: 27\r\n"), 1);
    CHECK(wire_ends(wire, "\r\n\r\n{\"message\":\"Hello, World!\"}"));
    wire_close(wire);
}

Test(http, shows_which_loop_served_the_home_page, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, PLAINTEXT GET("/")), 0);
    CHECK_EQ(wire_count(wire, "Loop 0 served this page."), 1);
    CHECK_EQ(wire_count(wire, "<tr class=\"here\"><td>0</td><td>1</td><td>1</td>"), 1);
    CHECK(wire_ends(wire, "</html>\n"));
    wire_close(wire);
}

Test(http, lists_the_tasks, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, GET("/tasks")), 0);
    CHECK(wire_begins(wire, "HTTP/1.1 200 OK\r\n"));
    CHECK_EQ(wire_count(wire, "Content-Type: text/plain; charset=utf-8\r\n"), 1);
    wire_close(wire);
}

Test(http, says_404_and_goes_on, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, GET("/plaintexts") GET("/plain") PLAINTEXT), 0);
    CHECK_EQ(wire_count(wire, "HTTP/1.1 404 Not Found\r\n"), 2);
    CHECK(wire_ends(wire, "Hello, World!"));
    wire_close(wire);
}

Test(http, finds_the_path_in_a_query_and_in_a_url, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, GET("/plaintext?a=/json") GET("http://weft/plaintext") GET("http://weft?q")), 0);
    CHECK_EQ(wire_count(wire, "Hello, World!"), 2);
    CHECK_EQ(wire_count(wire, "HTTP/1.1 200 OK"), 3);
    wire_close(wire);
}

Test(http, answers_a_path_whose_query_is_long, .timeout = 5)
{
    char request[2048];
    struct wire *wire = wire_open();
    snprintf(request, sizeof(request), "GET /plaintext?%01000d HTTP/1.1\r\n\r\n", 1);
    CHECK_EQ(wire_feed(wire, request), 0);
    CHECK(wire_ends(wire, "Hello, World!"));
    wire_close(wire);
}

Test(http, answers_head_without_a_body, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "HEAD /plaintext HTTP/1.1\r\n\r\n"), 0);
    CHECK_EQ(wire_count(wire, "Content-Length: 13\r\n"), 1);
    CHECK(wire_ends(wire, "\r\n\r\n"));
    wire_close(wire);
}

Test(http, allows_get_and_head_alone, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "POST /json HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" PLAINTEXT), 0);
    CHECK(wire_begins(wire, "HTTP/1.1 405 Method Not Allowed\r\n"));
    CHECK_EQ(wire_count(wire, "Allow: GET, HEAD\r\n"), 1);
    CHECK(wire_ends(wire, "Hello, World!"));
    wire_close(wire);
}

/* ---- how requests come ---------------------------------------------------------------------------------------------------------- */

Test(http, answers_sixteen_pipelined_requests_in_order, .timeout = 5)
{
    struct wire *wire = wire_open();
    char requests[4096] = "";
    for (int i = 0; i < 8; i++)
        strcat(requests, GET("/plaintext") GET("/json"));
    CHECK_EQ(wire_feed(wire, requests), 0);
    CHECK_EQ(wire->writes, 16);
    const char *at = wire->out;
    for (int i = 0; i < 16; i++) {
        at = strstr(at, "\r\n\r\n");
        CHECK(at != NULL);
        at += 4;
        CHECK_EQ(*at, i % 2 == 0 ? 'H' : '{');
    }
    CHECK_EQ(wire->shard.requests, 16);
    wire_close(wire);
}

Test(http, answers_requests_that_come_byte_by_byte, .timeout = 5)
{
    struct wire *wire = wire_open();
    static const char requests[] = PLAINTEXT "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET("/json");
    for (size_t i = 0; i < sizeof(requests) - 1; i++)
        CHECK_EQ(wire_feed_bytes(wire, &requests[i], 1), 0);
    CHECK_EQ(wire_count(wire, STATUS_LINE), 3);
    CHECK_EQ(wire_count(wire, "HTTP/1.1 405"), 1);
    CHECK(wire_ends(wire, "{\"message\":\"Hello, World!\"}"));
    wire_close(wire);
}

Test(http, gives_a_request_that_is_not_complete_its_time, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, PLAINTEXT), 0);
    CHECK_EQ(wire->deadline_ns, 0);
    CHECK_EQ(wire_feed(wire, PLAINTEXT "GET /pl"), 0);
    CHECK_EQ(wire->deadline_ns, HTTP_REQUEST_NS);
    wire->deadline_ns = 1;
    CHECK_EQ(wire_feed(wire, "aintext HT"), 0);
    CHECK_EQ(wire->deadline_ns, 1); /* one byte more buys no time */
    CHECK_EQ(wire_feed(wire, "TP/1.1\r\n\r\n"), 0);
    CHECK_EQ(wire->deadline_ns, 0);
    wire_close(wire);
}

Test(http, gives_a_request_that_begins_as_another_ends_its_own_time, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, PLAINTEXT "GET /pl"), 0);
    wire->deadline_ns = 1;
    CHECK_EQ(wire_feed(wire, "aintext HTTP/1.1\r\n\r\nGET /pl"), 0);
    CHECK_EQ(wire->deadline_ns, HTTP_REQUEST_NS);
    wire->deadline_ns = 1;
    CHECK_EQ(wire_feed(wire, "aintext"), 0);
    CHECK_EQ(wire->deadline_ns, 1);
    wire_close(wire);
}

/* ---- how connections end ------------------------------------------------------------------------------------------------------- */

Test(http, closes_after_the_reply_where_it_is_asked_to, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "GET /plaintext HTTP/1.1\r\nConnection: close\r\n\r\n" PLAINTEXT), 0);
    CHECK_EQ(wire_count(wire, STATUS_LINE), 1);
    CHECK_EQ(wire_count(wire, "Connection: close\r\n"), 1);
    CHECK(wire->is_closed);
    CHECK_EQ(wire_feed(wire, PLAINTEXT), 0);
    CHECK_EQ(wire_count(wire, STATUS_LINE), 1);
    wire_close(wire);
}

Test(http, closes_after_http_1_0, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "GET /plaintext HTTP/1.0\r\n\r\n"), 0);
    CHECK_EQ(wire_count(wire, "Connection: close\r\n"), 1);
    CHECK(wire->is_closed);
    wire_close(wire);
}

Test(http, keeps_http_1_0_open_where_both_say_so, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "GET /plaintext HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 0);
    CHECK_EQ(wire_count(wire, "Connection: keep-alive\r\n"), 1);
    CHECK(!wire->is_closed);
    wire_close(wire);
}

Test(http, stays_with_http_1_1_where_an_upgrade_is_offered, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "GET /plaintext HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" PLAINTEXT), 0);
    CHECK_EQ(wire_count(wire, "HTTP/1.1 200 OK"), 2);
    wire_close(wire);
}

Test(http, makes_no_tunnel, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "CONNECT weft:443 HTTP/1.1\r\n\r\nsecrets"), 0);
    CHECK_EQ(wire_count(wire, STATUS_LINE), 1);
    CHECK(!wire_begins(wire, "HTTP/1.1 2"));
    CHECK(wire->is_closed);
    wire_close(wire);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------------------- */

/* One answer, which says that the connection closes; it ends only our side, so that the peer gets to read it. */
static void check_refused(struct wire *wire, const char *status_line)
{
    CHECK(wire_begins(wire, status_line));
    CHECK_EQ(wire_count(wire, STATUS_LINE), 1);
    CHECK_EQ(wire_count(wire, "Connection: close\r\n"), 1);
    CHECK(wire->is_eof);
    CHECK(wire->is_reading);
    CHECK_EQ(wire->deadline_ns, HTTP_LINGER_NS);
    CHECK_EQ(wire_feed(wire, PLAINTEXT), 0);
    CHECK_EQ(wire_count(wire, STATUS_LINE), 1);
    wire_close(wire);
}

static void check_refuses(const char *request, const char *status_line)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, request), 0);
    check_refused(wire, status_line);
}

Test(http, refuses_what_is_no_http, .timeout = 5)
{
    check_refuses("\x16\x03\x01\x02\x01 hello", "HTTP/1.1 400 Bad Request\r\n");
    check_refuses("HELLO weft\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    check_refuses("GET / HTTP/1.1\r\nno colon\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    check_refuses("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    check_refuses("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    check_refuses("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
    check_refuses("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 400 Bad Request\r\n");
}

Test(http, refuses_other_versions, .timeout = 5)
{
    check_refuses("GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n");
}

Test(http, answers_what_came_before_a_bad_request, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, PLAINTEXT "\r\nbad\r\n\r\n"), 0);
    CHECK(wire_begins(wire, "HTTP/1.1 200 OK\r\n"));
    CHECK_EQ(wire_count(wire, "HTTP/1.1 400 Bad Request\r\n"), 1);
    CHECK(wire->is_eof);
    wire_close(wire);
}

Test(http, refuses_a_long_target, .timeout = 5)
{
    char request[HTTP_HEADER_MAX + 200];
    snprintf(request, sizeof(request), "GET /%0*d HTTP/1.1\r\n\r\n", HTTP_HEADER_MAX, 1);
    check_refuses(request, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
}

Test(http, refuses_a_long_header_that_comes_in_pieces, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "GET / HTTP/1.1\r\n"), 0);
    for (int i = 0; i <= HTTP_HEADER_MAX / 16 && !wire->is_eof; i++)
        CHECK_EQ(wire_feed(wire, "Name-12: value\r\n"), 0);
    check_refused(wire, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
}

Test(http, refuses_a_body_that_will_be_too_long, .timeout = 5)
{
    char request[128];
    snprintf(request, sizeof(request), "POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n", HTTP_BODY_MAX + 1);
    check_refuses(request, "HTTP/1.1 413 Payload Too Large\r\n");
}

Test(http, refuses_a_chunked_body_as_it_becomes_too_long, .timeout = 5)
{
    static char chunk[65536];
    struct wire *wire = wire_open();
    CHECK_EQ(wire_feed(wire, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 0);
    for (size_t i = 0; i <= HTTP_BODY_MAX / sizeof(chunk) && !wire->is_eof; i++) {
        CHECK_EQ(wire_feed(wire, "10000\r\n"), 0);
        CHECK_EQ(wire_feed_bytes(wire, chunk, sizeof(chunk)), 0);
        CHECK_EQ(wire_feed(wire, wire->is_eof ? "" : "\r\n"), 0);
    }
    check_refused(wire, "HTTP/1.1 413 Payload Too Large\r\n");
}

Test(http, takes_a_body_of_the_largest_size, .timeout = 5)
{
    static char body[HTTP_BODY_MAX];
    char head[128];
    struct wire *wire = wire_open();
    snprintf(head, sizeof(head), "GET /plaintext HTTP/1.1\r\nContent-Length: %d\r\n\r\n", HTTP_BODY_MAX);
    CHECK_EQ(wire_feed(wire, head), 0);
    CHECK_EQ(wire_feed_bytes(wire, body, sizeof(body)), 0);
    CHECK(wire_ends(wire, "Hello, World!"));
    wire_close(wire);
}

/* ---- a peer that does not read -------------------------------------------------------------------------------------------------- */

Test(http, stops_at_the_request_whose_reply_finds_no_room, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(weft_transport_set_write_buffer_limits(&wire->transport, 300, 0), 0);
    wire->is_stuck = true;
    CHECK_EQ(wire_feed(wire, PLAINTEXT PLAINTEXT PLAINTEXT PLAINTEXT PLAINTEXT PLAINTEXT PLAINTEXT "GET /json HTTP/1.1\r\n"), 0);
    CHECK_EQ(wire_count(wire, STATUS_LINE), 3);
    CHECK(!wire->is_reading);

    wire_clear(wire);
    wire_drain(wire); /* and again there is room for three */
    CHECK_EQ(wire_count(wire, STATUS_LINE), 3);
    CHECK(!wire->is_reading);

    wire_clear(wire);
    wire_drain(wire);
    CHECK_EQ(wire_count(wire, STATUS_LINE), 1);
    CHECK(wire->is_reading);
    CHECK_EQ(wire_feed(wire, "\r\n"), 0);
    CHECK(wire_ends(wire, "{\"message\":\"Hello, World!\"}"));
    wire_close(wire);
}

Test(http, reads_on_after_a_refusal_that_found_no_room, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(weft_transport_set_write_buffer_limits(&wire->transport, 100, 0), 0);
    wire->is_stuck = true;
    CHECK_EQ(wire_feed(wire, PLAINTEXT "no request\r\n\r\n"), 0);
    CHECK(!wire->is_reading);
    wire_drain(wire); /* now the refusal is written, and waits too */
    CHECK_EQ(wire_count(wire, "HTTP/1.1 400 Bad Request\r\n"), 1);
    CHECK(wire->is_eof);
    wire_drain(wire);
    CHECK(wire->is_reading);
    wire_close(wire);
}

Test(http, frees_what_waits_for_a_peer_that_is_gone, .timeout = 5)
{
    struct wire *wire = wire_open();
    CHECK_EQ(weft_transport_set_write_buffer_limits(&wire->transport, 0, 0), 0);
    wire->is_stuck = true;
    CHECK_EQ(wire_feed(wire, PLAINTEXT PLAINTEXT), 0);
    CHECK_EQ(wire_count(wire, STATUS_LINE), 1);
    wire_close(wire);
}

/* ---- anything ------------------------------------------------------------------------------------------------------------------- */

static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Some good requests with up to three bytes changed, in pieces of any size. */
static void feed_noise(struct wire *wire, uint32_t seed)
{
    char bytes[] = PLAINTEXT "POST /json?a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nA: b\r\n\r\n"
                             "HEAD http://weft/ HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc" PLAINTEXT;
    size_t len = sizeof(bytes) - 1;
    for (uint32_t changes = random_next(&seed) % 4; changes > 0; changes--)
        bytes[random_next(&seed) % len] = (char)random_next(&seed);
    for (size_t at = 0; at < len && !wire->is_closed;) {
        size_t piece = 1 + random_next(&seed) % (len - at);
        CHECK_EQ(wire_feed_bytes(wire, bytes + at, piece), 0);
        at += piece;
    }
}

Test(http, takes_anything, .timeout = 60)
{
    for (uint32_t seed = 1; seed <= 5000; seed++) {
        struct wire *wire = wire_open();
        feed_noise(wire, seed * 2654435761u);
        CHECK(wire->len == 0 || wire_begins(wire, STATUS_LINE));
        wire_close(wire);
    }
}
