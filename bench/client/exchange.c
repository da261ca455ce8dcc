/*
 * Exchange: see the header. Called by the benches, from one thread; its texts are static, so there is one of each kind at a time.
 */
#include "bench/client/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/client/load.h"

#define REQUEST "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#define BODY    "Hello, World!"

enum { ANSWER_BYTES_MAX = 4096, DATE_BYTES = 29 };

static _Noreturn void give_up(const char *what, const char *text)
{
    fprintf(stderr, "%s: %s\n", what, text);
    exit(1);
}

void exchange_echo(struct exchange *exchange, size_t bytes)
{
    static char pattern[EXCHANGE_BYTES_MAX + EXCHANGE_TURNS];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof(pattern); i++) {
        random = random * 1664525 + 1013904223;
        pattern[i] = (char)(random >> 24);
    }
    *exchange =
        (struct exchange){.request = pattern, .request_len = bytes, .answer = pattern, .answer_len = bytes, .turns = EXCHANGE_TURNS};
    exchange->period = exchange->any_begin = exchange->any_end = bytes;
}

/* ---- HTTP --------------------------------------------------------------------------------------------------------------------------- */

/* The value of a header; NULL if there is none. */
static const char *value_of(const char *text, const char *name)
{
    const char *at = strcasestr(text, name);
    return at == NULL ? NULL : at + strlen(name) + strspn(at + strlen(name), " ");
}

/* How long the answer is that begins with `text`: the headers, and as many bytes as they say; 0 while they are not complete. */
static size_t answer_length(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = value_of(text, "\r\nContent-Length:");
    if (end == NULL)
        return 0;
    if (length == NULL || length > end)
        give_up("no length of the content", text);
    return (size_t)(end + 4 - text) + strtoul(length, NULL, 10);
}

static void ask_once(uint16_t port, char *answer, size_t room)
{
    int fd = load_dial(port);
    size_t len = 0;
    if (send(fd, REQUEST, sizeof(REQUEST) - 1, MSG_NOSIGNAL) != sizeof(REQUEST) - 1)
        give_up("send", REQUEST);
    do {
        ssize_t count = recv(fd, answer + len, room - 1 - len, 0);
        if (count <= 0)
            give_up("an answer that ends early", answer);
        len += (size_t)count;
        answer[len] = '\0';
    } while (answer_length(answer) == 0 || len < answer_length(answer));
    close(fd);
    if (len != answer_length(answer))
        give_up("more than one answer", answer);
}

static void check_answer(const char *answer)
{
    const char *connection = value_of(answer, "\r\nConnection:");
    if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
        give_up("not status 200", answer);
    if (strcmp(strstr(answer, "\r\n\r\n") + 4, BODY) != 0)
        give_up("another body than \"" BODY "\"", answer);
    if (connection != NULL && strncasecmp(connection, "close", 5) == 0)
        give_up("a connection that is not kept", answer);
}

/* Copy a text so many times behind itself. */
static void repeat(char *text, size_t len, size_t times)
{
    for (size_t i = 1; i < times; i++)
        memcpy(text + i * len, text, len);
}

void exchange_http(struct exchange *exchange, uint16_t port, size_t depth)
{
    static char request[EXCHANGE_BYTES_MAX], answer[EXCHANGE_BYTES_MAX];
    ask_once(port, answer, ANSWER_BYTES_MAX);
    check_answer(answer);
    size_t period = strlen(answer);
    const char *date = value_of(answer, "\r\nDate:");
    if (depth * period > sizeof(answer) || depth * sizeof(REQUEST) > sizeof(request))
        give_up("too long", answer);
    *exchange = (struct exchange){.request = request, .answer = answer, .period = period, .turns = 1};
    exchange->request_len = depth * (sizeof(REQUEST) - 1);
    exchange->answer_len = depth * period;
    exchange->any_begin = date == NULL ? period : (size_t)(date - answer);
    exchange->any_end = date == NULL ? period : exchange->any_begin + DATE_BYTES;
    memcpy(request, REQUEST, sizeof(REQUEST));
    repeat(request, sizeof(REQUEST) - 1, depth);
    repeat(answer, period, depth);
}

/* ---- checks --------------------------------------------------------------------------------------------------------------------------- */

/* The next place after `offset` where what is checked begins or ends. */
static size_t next_border(const struct exchange *exchange, size_t offset)
{
    size_t at = offset % exchange->period, start = offset - at;
    return start + (at < exchange->any_begin ? exchange->any_begin : at < exchange->any_end ? exchange->any_end : exchange->period);
}

static bool is_checked(const struct exchange *exchange, size_t offset)
{
    size_t at = offset % exchange->period;
    return at < exchange->any_begin || at >= exchange->any_end;
}

bool exchange_matches(const struct exchange *exchange, size_t turn, size_t offset, const char *bytes, size_t count)
{
    size_t end = offset + count;
    if (end > exchange->answer_len)
        return false;
    for (size_t next; offset < end; bytes += next - offset, offset = next) {
        next = next_border(exchange, offset);
        next = next < end ? next : end;
        if (is_checked(exchange, offset) && memcmp(bytes, exchange->answer + turn + offset, next - offset) != 0)
            return false;
    }
    return true;
}
