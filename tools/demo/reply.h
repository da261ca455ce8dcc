/*
 * Reply: what is asked of the site, and what it answers.
 */
#ifndef TOOLS_DEMO_REPLY_H
#define TOOLS_DEMO_REPLY_H

#include <stddef.h>

/* The status line, and the part of the header that a reply brings; the connection adds what it knows itself. */
#define REPLY_HEAD(status, type, length) "HTTP/1.1 " status "\r\nServer: weft\r\nContent-Type: " type "\r\nContent-Length: " length "\r\n"

struct request {
    unsigned method;    /* enum http_method */
    const char *target; /* a path or a URL, not ended with a zero */
    size_t target_bytes;
};

struct reply {
    const char *head; /* made with REPLY_HEAD */
    size_t head_bytes;
    const char *body;
    size_t body_bytes;
    char *memory;   /* to free() once it is written, or NULL */
    char room[192]; /* for a head that is not static */
};

/* Make `reply` one with a head in its own room; `status` and `type` as they are written: "200 OK", "text/html". thread: any */
void reply_set(struct reply *reply, const char *status, const char *type, const char *body, size_t body_bytes);

/* Make `reply` the plain words of an error: "404 Not Found". thread: any */
void reply_set_error(struct reply *reply, const char *status);

#endif
