/*
 * Peers: the other loops of a x4 variant, each in a thread of its own, that keep each other and the loop under test busy.
 */
#ifndef TESTS_CONFORMANCE_PEERS_H
#define TESTS_CONFORMANCE_PEERS_H

struct peers;
struct weft_loop;
struct weft_loop_kind;

/* Start `count` loops of `kind`. Some of what they do passes through `tested`, whenever that one runs. */
struct peers *peers_start(const struct weft_loop_kind *kind, int count, struct weft_loop *tested);

/* Stop them, wait for their threads and take them apart. `tested` is closed before. NULL is ignored. */
void peers_stop(struct peers *peers);

#endif
