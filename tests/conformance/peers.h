/*
 * Peers: the other loops of a x4 variant, that keep each other and the loop under test busy.
 */
#ifndef TESTS_CONFORMANCE_PEERS_H
#define TESTS_CONFORMANCE_PEERS_H

#include <stdbool.h>

struct peers;
struct weft_loop;

enum { LOOPS_MAX = 4 };

/*
 * Keep loops[1] … loops[count - 1] busy, each in a thread, or without if somebody else runs them. Some of what they do passes through
 * loops[0], whenever that one runs. NULL if there is none but that one.
 */
struct peers *peers_start(struct weft_loop *const loops[], int count, bool has_threads);

/* Stop them and wait for their threads; loops[0] is closed before. NULL is ignored. */
void peers_stop(struct peers *peers);

#endif
