/*
 * What the tests of limits have in common, all of it for children: an echo that runs on loops with threads of their own, clients that are
 * plain sockets, and a look at what the runtime does while nothing can be done.
 */
#ifndef TESTS_LIMITS_SCENE_H
#define TESTS_LIMITS_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/limits/child.h"
#include "weft/fiber.h"
#include "weft/runtime.h"
#include "weft/task.h"

enum { SCENE_DEADLINE_MS = 10000, SCENE_QUIET_MS = 300 };

struct scene {
    struct weft_runtime *runtime;
    struct weft_server *server;
    uint16_t port;
    uint32_t reports; /* atomic: to the exception handler of the first loop */
    int32_t reported; /* atomic: the last status of these */
};

/* Start `loops` loops, of which the first serves an echo on the loopback. */
void scene_start(struct scene *scene, uint32_t loops);

/* Shut down, and destroy. */
void scene_end(struct scene *scene);

/* The first loop. */
struct weft_loop *scene_loop(const struct scene *scene);

/* Run `fn(arg)` as a fiber on the first loop, and wait for its end; its status. */
int scene_call(const struct scene *scene, weft_fiber_fn *fn, void *arg);

/* A blocking socket; connect it; true if what it sends comes back by the deadline. A connect may only reach the backlog. */
int client_socket(void);
void client_connect(int fd, const struct scene *scene);
bool client_is_answered(int fd);

/*
 * Do nothing for SCENE_QUIET_MS, see what the runtime did meanwhile, and print it as `what`. More than `turns_max` iterations fail; as many
 * again for each time that it took longer. Returns how long it took, in such times, rounded up.
 */
uint64_t scene_stay_quiet(const struct scene *scene, const char *what, uint64_t turns_max);

/* Milliseconds of the monotonic clock. */
double scene_now_ms(void);

/* Print how long it took from `start_ms` until `what` worked again. */
void scene_print_recovery(const char *what, double start_ms);

/* Become nobody, so that limits bind. False, and a line about `what`, where root may not do so. */
bool scene_become_nobody(const char *what);

#endif
