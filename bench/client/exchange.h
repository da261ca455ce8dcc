/*
 * Exchange: a request, and the answer that it must have, byte by byte.
 */
#ifndef BENCH_CLIENT_EXCHANGE_H
#define BENCH_CLIENT_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXCHANGE_BYTES_MAX = 65536, EXCHANGE_TURNS = 256 };

struct exchange {
    const char *request;
    size_t request_len;
    const char *answer;
    size_t answer_len;
    size_t period;             /* the answer repeats so many bytes */
    size_t any_begin, any_end; /* of each period, these may be anything: the date */
    size_t turns;              /* the request and the answer may begin so many bytes later, so that not all messages are equal; 0 and on */
};

/* Messages of `bytes` that come back as they are. */
void exchange_echo(struct exchange *exchange, size_t bytes);

/*
 * `depth` times a GET in one request. Asks the server at `port` for one first, to learn how it answers: with status 200 and "Hello, World!", or
 * else the program ends with a message. All other answers must be the same, the date's value excepted.
 */
void exchange_http(struct exchange *exchange, uint16_t port, size_t depth);

/* Whether `count` bytes are those at `offset` of the answer, when it begins `turn` bytes later. */
bool exchange_matches(const struct exchange *exchange, size_t turn, size_t offset, const char *bytes, size_t count);

#endif
