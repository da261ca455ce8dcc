/*
 * Peers: three loops that pass tokens around a ring of loops, as futures that one loop completes and another's callback receives.
 *
 *     loop 1 ──> loop 2 ──> loop 3 ──> loop 1         token 0: among the peers only
 *     loop 1 ──> loop 2 ──> loop 3 ──> loop 0 ──> …   token 1: through the loop under test too, where it waits if that one is idle
 *
 * A token has one holder at a time: the loop on which its callback runs or is queued. It dies where it cannot go on: on a closed loop, or
 * once the peers are told to stop.
 */
#include "tests/conformance/peers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/conformance.h"
#include "weft/atomic.h"

enum { TOKENS = 2 };

struct token {
    struct peers *peers;
    int lowest; /* the first loop of its ring */
    int place;  /* where it is */
};

struct peers {
    struct weft_loop *loops[LOOPS_MAX]; /* the one under test, then the peers */
    pthread_t threads[LOOPS_MAX];
    int count;
    bool has_threads;
    uint32_t is_stopping;
    struct token tokens[TOKENS];
};

static int token_received(struct weft_future *future, void *arg);

/* On the loop of `place`: go to the next one by a future that is completed here and calls back there. */
static int token_arrived(void *arg)
{
    struct token *token = arg;
    struct weft_future *future;
    struct weft_loop *here = token->peers->loops[token->place];
    if (weft_atomic_load_relaxed(&token->peers->is_stopping) || weft_loop_create_future(here, &future) < 0)
        return 0;
    CHECK_EQ(weft_future_add_done_callback(future, token_received, token, NULL), 0);
    CHECK_EQ(weft_future_set_result(future, token), 0);
    weft_future_unref(future);
    return 0;
}

static int token_received(struct weft_future *future, void *arg)
{
    struct token *token = arg;
    void *value;
    CHECK_EQ(weft_future_result(future, &value), 0);
    CHECK(value == token);
    int next = token->place + 1 < token->peers->count ? token->place + 1 : token->lowest;
    struct weft_loop *loop = token->peers->loops[next];
    token->place = next;
    weft_loop_call_soon_threadsafe(loop, token_arrived, token, NULL, NULL); /* refused: the token dies */
    return 0;
}

static void *peer_run(void *arg)
{
    CHECK_EQ(weft_loop_run_forever(arg), 0);
    return NULL;
}

struct peers *peers_start(struct weft_loop *const loops[], int count, bool has_threads)
{
    if (count < 2)
        return NULL;
    struct peers *peers = calloc(1, sizeof(*peers));
    CHECK(count <= LOOPS_MAX);
    peers->count = count;
    peers->has_threads = has_threads;
    memcpy(peers->loops, loops, (size_t)count * sizeof(*loops));
    for (int i = 0; i < TOKENS; i++) {
        peers->tokens[i] = (struct token){.peers = peers, .lowest = i == 0, .place = i + 1};
        CHECK_EQ(weft_loop_call_soon(loops[i + 1], token_arrived, &peers->tokens[i], NULL, NULL), 0);
    }
    for (int i = 1; has_threads && i < count; i++)
        CHECK_EQ(pthread_create(&peers->threads[i], NULL, peer_run, peers->loops[i]), 0);
    return peers;
}

void peers_stop(struct peers *peers)
{
    if (!peers)
        return;
    weft_atomic_store_relaxed(&peers->is_stopping, 1);
    for (int i = 1; peers->has_threads && i < peers->count; i++)
        CHECK_EQ(weft_loop_stop(peers->loops[i]), 0);
    for (int i = 1; peers->has_threads && i < peers->count; i++)
        CHECK_EQ(pthread_join(peers->threads[i], NULL), 0);
    free(peers);
}
