/*
 * Soak: everything a runtime does, at random, for as long as it is told, with every piece counted.
 *
 *      churn.c      timers, handles, posts, tasks
 *      promise.c    futures that other loops complete, jobs
 *      compute.c    fork–join computations that connections start, stealable tasks
 *      session.c    the servers' side of connections: by callbacks on the even loops, by fibers on the odd ones
 *      client.c     the clients' side, on the same loops
 *      exhaustion.c a server without descriptors
 *      meter.c      memory, descriptors, processor time
 *      soak_test.c  puts them together, and does the sums
 *
 * Each loop has a lane, whose counts and random numbers only that loop's thread touches while the runtime runs. A sum that does not
 * come out is a failure: something was lost, or came twice.
 */
#ifndef TESTS_SOAK_SOAK_H
#define TESTS_SOAK_SOAK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/random.h"
#include "tests/support/sanitizer.h"
#include "weft/atomic.h"

struct weft_loop;
struct weft_runtime;
struct weft_server;
struct weft_task;

enum { SOAK_LANES = 4, SOAK_COMPUTING = 8 };

#define SOAK_COUNTS(X)                                                                                                                     \
    X(timers_armed) /* times a stopped timer was armed */                                                                                  \
    X(timers_fired)                                                                                                                        \
    X(timers_stopped)                                                                                                                      \
    X(timers_wrong) /* fired early, or while stopped; or stop told a lie */                                                                \
    X(handles_made) /* of call_later */                                                                                                    \
    X(handles_called)                                                                                                                      \
    X(handles_cancelled)                                                                                                                   \
    X(posts_made) /* to another loop */                                                                                                    \
    X(posts_called)                                                                                                                        \
    X(posts_cancelled)                                                                                                                     \
    X(tasks_created)                                                                                                                       \
    X(tasks_ended)                                                                                                                         \
    X(tasks_cancelled) /* of these, as cancelled */                                                                                        \
    X(bodies_begun)    /* of fibers */                                                                                                     \
    X(bodies_ended)                                                                                                                        \
    X(steps_made)                                                                                                                          \
    X(futures_made)                                                                                                                        \
    X(futures_set)       /* by another loop */                                                                                             \
    X(futures_refused)   /* set too late, by another loop */                                                                               \
    X(futures_got)       /* awaited, and there was a result */                                                                             \
    X(futures_cancelled) /* awaited, and given up */                                                                                       \
    X(jobs_submitted)                                                                                                                      \
    X(jobs_awaited)                                                                                                                        \
    X(computations_started) /* of jobs that fork */                                                                                        \
    X(computations_ended)                                                                                                                  \
    X(computations_cancelled) /* of these, as cancelled */                                                                                 \
    X(computations_wrong)     /* another sum, or another number of jobs */                                                                 \
    X(computation_jobs)                                                                                                                    \
    X(strays_spawned) /* stealable tasks that sleep and time out */                                                                        \
    X(strays_ended)                                                                                                                        \
    X(strays_cancelled)                                                                                                                    \
    X(sessions_made) /* connections accepted */                                                                                            \
    X(sessions_lost)                                                                                                                       \
    X(sessions_graceful) /* of these, those that saw the client's end */                                                                   \
    X(clients_opened)                                                                                                                      \
    X(clients_closed)                                                                                                                      \
    X(clients_given_up) /* cancelled while they connected */                                                                               \
    X(clients_refused)  /* the system had no port to give */                                                                               \
    X(graceful_begun)   /* conversations that nobody disturbs */                                                                           \
    X(graceful_ended)   /* with every byte, and the same count and sum at both ends */                                                     \
    X(bytes_sent)       /* by clients in graceful conversations */                                                                         \
    X(bytes_echoed)     /* received by them */                                                                                             \
    X(bytes_checked)    /* compared by clients, all conversations */                                                                       \
    X(wrong)            /* statuses that no contract allows, bytes that are not what was sent */

struct soak_counts {
#define SOAK_COUNT_MEMBER(name) uint64_t name;
    SOAK_COUNTS(SOAK_COUNT_MEMBER)
#undef SOAK_COUNT_MEMBER
};

/* One loop's part. */
struct lane {
    _Alignas(WEFT_CACHE_LINE_BYTES) struct soak *soak;
    struct weft_loop *loop;
    struct weft_server *server;
    uint32_t index;
    uint32_t client_next; /* numbers the lane's connections */
    struct random random;
    struct weft_task *computing[SOAK_COMPUTING]; /* some of those under way, to be cancelled at random */
    struct soak_counts counts;
};

struct soak {
    struct weft_runtime *runtime;
    uint64_t seed;
    uint32_t seconds;
    uint16_t port;
    bool is_rehearsal;      /* before the run that counts: what the process keeps for good is made */
    uint32_t is_over;       /* atomic: everybody comes to an end */
    uint64_t steps_dropped; /* atomic */
    uint64_t jobs_run;      /* atomic */
    uint64_t strays_begun;  /* atomic, as the next: stealable tasks count where they run */
    uint64_t strays_returned;
    uint64_t exceptions; /* atomic: reports that nobody took */
    uint64_t stalls;     /* atomic: of callbacks that take long; whether the machine is busy with others cannot be told here */
    struct lane lanes[SOAK_LANES];
};

static inline bool soak_is_over(const struct soak *soak)
{
    return weft_atomic_load_relaxed(&soak->is_over) != 0;
}

/* A number from `min` to `max`. thread: the lane's */
static inline uint64_t lane_between(struct lane *lane, uint64_t min, uint64_t max)
{
    return min + random_below(&lane->random, max - min + 1);
}

/* True once in `n` times. thread: the lane's */
static inline bool lane_once_in(struct lane *lane, uint64_t n)
{
    return random_below(&lane->random, n) == 0;
}

/* Another lane, or this one. thread: the lane's */
static inline struct lane *lane_any(struct lane *lane)
{
    return &lane->soak->lanes[random_below(&lane->random, SOAK_LANES)];
}

/* Count `status` as wrong unless it is 0, and say which it was. thread: the lane's */
void lane_expect(struct lane *lane, int status, const char *what);

/* Wait for a little while at random, at most `max_ns`. thread: a fiber of the lane's */
int lane_pause(struct lane *lane, uint64_t max_ns);

/* Say whether the claim holds, and count that. thread: main */
void soak_check(bool is_true, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the actors: bodies of fibers, `arg` is their lane, which end once the soak is over ----------------------------------------- */

int churn_timers(void *arg, void **result_out);
int churn_handles(void *arg, void **result_out);
int churn_tasks(void *arg, void **result_out);
int promise_futures(void *arg, void **result_out);
int promise_jobs(void *arg, void **result_out);
int compute_sums(void *arg, void **result_out);
int compute_strays(void *arg, void **result_out);
int client_converse(void *arg, void **result_out);

/* Start a computation, and cancel another one perhaps. thread: the lane's */
void compute_start(struct lane *lane);

/* Create the server of a lane, the first one at any free port. 0; a status. thread: the preparing one */
int session_listen(struct lane *lane);

/* ---- the chaos beside it, with a runtime of its own ------------------------------------------------------------------------------ */

void exhaustion_check(void);

#endif
