/*
 * Wire: what clients and servers of the soak test say to each other.
 *
 *      client ──> head, then bytes that both can compute from it ──> end
 *      server ──> the same bytes again, then, if it saw the client's end, a trailer: how many came, and their sum ──> end
 */
#ifndef TESTS_SOAK_WIRE_H
#define TESTS_SOAK_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum wire_mode {
    WIRE_PATIENT = 1, /* the server echoes to the end */
    WIRE_STALLS = 2,  /* it stops to read for a while once `limit` bytes have come, then the same */
    WIRE_CLOSES = 3,  /* it closes once `limit` bytes have come */
    WIRE_RESETS = 4,  /* it resets then */
    WIRE_MODES = 5,
};

struct wire_head {
    uint64_t id;
    uint32_t mode;
    uint32_t limit;
};

struct wire_trailer {
    uint64_t bytes;
    uint64_t sum;
};

/* What the server knows of a connection. */
struct wire_state {
    struct wire_head head; /* complete from sizeof(head) bytes on */
    struct wire_trailer seen;
};

static inline void wire_add(struct wire_trailer *trailer, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        trailer->sum = trailer->sum * 31 + bytes[i];
    trailer->bytes += len;
}

static inline void wire_receive(struct wire_state *state, const void *data, size_t len)
{
    if (state->seen.bytes < sizeof(state->head)) {
        size_t room = sizeof(state->head) - state->seen.bytes;
        memcpy((char *)&state->head + state->seen.bytes, data, len < room ? len : room);
    }
    wire_add(&state->seen, data, len);
}

/* Whether the server shall do by now what `mode` says. */
static inline int wire_is_due(const struct wire_state *state, enum wire_mode mode)
{
    return state->seen.bytes >= sizeof(state->head) && state->head.mode == mode && state->seen.bytes >= state->head.limit;
}

/* The byte at `offset` of what a client sends, its head first. */
static inline unsigned char wire_byte(const struct wire_head *head, uint64_t offset)
{
    if (offset < sizeof(*head))
        return ((const unsigned char *)head)[offset];
    return (unsigned char)(head->id * 7 + offset * 131 + (offset >> 8));
}

#endif
