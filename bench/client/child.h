/*
 * Child: a server in a process of its own, so that what it uses is known to the nanosecond.
 *
 *     struct child child;
 *     child_start_program(&child, command, -1);
 *     ... connect to child.port, ask usage_now() before and after ...
 *     child_stop(&child);
 *
 * Whatever goes wrong ends this program with a message. The child ends with this program, too.
 */
#ifndef BENCH_CLIENT_CHILD_H
#define BENCH_CLIENT_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "bench/kit/serve.h"

struct child {
    pid_t pid; /* and the number of its process group */
    int input_fd, output_fd;
    uint16_t port;
};

/* Start `server` in a copy of this process, and wait until it serves. */
void child_start(struct child *child, const struct server *server, const struct serving *how);

/* Start a program that serves as kit/serve.h says, bound to processor `cpu` if that is not below 0, and wait until connections come through. */
void child_start_program(struct child *child, char *const *command, int cpu);

/* Kill it and all that it has started, and wait for its end. */
void child_stop(struct child *child);

#endif
