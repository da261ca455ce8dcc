/*
 * Service: what a server answers, the same for all contestants in C and C++, whatever brings the bytes.
 *
 *     static void loop(int listener, const void *arg)
 *     {
 *         const struct service *service = arg;
 *         ... of each connection, an object with service->state_bytes at its end, all zero, and service->made() of them ...
 *         ... of all bytes that come: service->reply(state, bytes, count, &reply), and send what that says, in one call ...
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         return service_main(argc, argv, "libexample 1.2", loop);
 *     }
 */
#ifndef BENCH_KIT_SERVICE_H
#define BENCH_KIT_SERVICE_H

#include <stddef.h>

#include "bench/kit/serve.h"

#ifdef __cplusplus
extern "C" {
#endif

struct service {
    const char *kind;
    size_t state_bytes;        /* of each connection; all zero at first, aligned as a pointer */
    size_t buffer_bytes;       /* of a buffer to receive into: one call takes a whole message of the kind */
    void (*made)(void *state); /* a connection begins; may be NULL */
    /*
     * The count of bytes to send for those that came, and where they are: valid until the thread's next call, and as long as `bytes` is. Below
     * 0: the connection shall be closed.
     */
    ptrdiff_t (*reply)(void *state, const char *bytes, size_t count, const char **reply_out);
};

/* A connection's socket, for those who are told when it is ready. It is the end of an object that has service->state_bytes more. */
struct service_socket {
    int fd;
    char *rest; /* not taken by the kernel yet; while it is not NULL, nothing shall be received */
    size_t rest_len;
    void *state[];
};

void service_open(const struct service *service, struct service_socket *socket, int fd);

/*
 * Receive once into `buffer`, and send what that asks for, or keep it. The count of bytes that came; 0 if none are there yet; below 0: the
 * connection is over.
 */
ptrdiff_t service_receive(const struct service *service, struct service_socket *socket, char *buffer);

/* Send of the rest what goes now. Below 0: the connection is over. */
int service_send_rest(struct service_socket *socket);

/* Close and free what it has; not the object. */
void service_close(struct service_socket *socket);

/* `memory`, or the end of the program. */
void *service_must(void *memory);

/* Answer for `who`, which runs `loop` with a service of kind "echo", "bulk" or "http" for `arg`. What main() returns. */
int service_main(int argc, char **argv, const char *who, serving_loop_fn *loop);

#ifdef __cplusplus
}
#endif

#endif
