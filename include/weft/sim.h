/*
 * Sim: a simulated network of hosts, all on one thread, in virtual time, the same way for the same seed.
 *
 * A world has hosts with names and addresses; each runtime lives on one of them. An application is not changed for that: it makes its
 * runtime, its servers and its connections by host and port as always, and all of it happens in the world. What is made while a host is
 * entered is on that host.
 *
 *     static int boot(struct weft_sim_host *host, void *arg)
 *     {
 *         struct weft_sim_host *before = weft_sim_host_enter(host);
 *         struct weft_runtime **runtime = arg;
 *         int status = weft_runtime_create(NULL, runtime);
 *         if (status == 0)
 *             status = weft_runtime_start(*runtime);
 *         weft_sim_host_enter(before);
 *         return status;
 *     }
 *
 *     struct weft_sim_options options = WEFT_SIM_OPTIONS;
 *     struct weft_sim_host_options host_options = WEFT_SIM_HOST_OPTIONS;
 *     struct weft_sim *sim;
 *     struct weft_sim_host *host;
 *     struct weft_runtime *runtime = NULL;
 *     options.seed = 42;
 *     host_options.name = "db";
 *     status = weft_sim_create(&options, &sim);
 *     if (status == 0)
 *         status = weft_sim_host_create(sim, &host_options, &host);
 *     if (status == 0)
 *         status = boot(host, &runtime);
 *     if (status == 0)
 *         status = weft_sim_run(sim, NULL, NULL, INT64_C(3600000000000));
 *     weft_runtime_destroy(runtime);
 *     weft_sim_destroy(sim);
 *
 * Whoever drives one runtime of a world, by weft_runtime_run(), weft_runtime_shutdown() or weft_sim_run(), drives all that are started.
 * In each round every loop takes a turn, in an order drawn from the seed; some are late. Time stands still as long as a loop finds
 * something to do, and then jumps to the first thing that is due: hours of waiting cost nothing.
 *
 * The network carries streams. What it loses is sent again later, so that a loss is a delay; a connection over which nothing gets through
 * for long breaks. Each fault below is drawn from the seed, or is called for by the scenario. Files, processes, datagrams, threads and the
 * machine's own clocks are not simulated: what an application asks of the system itself, it gets from there. So does an executor that it
 * makes for itself; the runtime's own runs its jobs on the loops.
 *
 * A loop that is run by hand takes its turns by itself. Whenever it looks at its poller, the runtimes of its world play a round; and while it
 * has nothing to do, its world goes on.
 *
 * thread:  all calls of one world, and all of its runtimes, on one thread; several worlds may live on as many threads
 */
#ifndef WEFT_SIM_H
#define WEFT_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_poller_options;
struct weft_sim;
struct weft_sim_host;

/* ---- worlds ------------------------------------------------------------------------------------------------------------------- */

/*
 * Told of one event: `line`, `len` bytes and a zero, without an end of line. A line is the time in seconds, the host, a word for what has
 * happened, as a rule a descriptor, and what came of it: "12.000050000 db recv 3 120". There are no addresses of memory in it: the same
 * seed gives the same bytes, from whatever compiler. It must not call into weft.
 *
 * thread:  the world's
 */
typedef void weft_sim_trace_fn(const char *line, size_t len, void *arg);

/* How a world is made. Start with WEFT_SIM_OPTIONS. */
struct weft_sim_options {
    size_t size;
    uint64_t seed;
    weft_sim_trace_fn *trace; /* NULL: nobody listens, and only the hash is kept */
    void *trace_arg;
    uint32_t late_permille; /* of the turns that a loop might take: it is passed over, as if it were woken late. At most 900 */
    uint32_t stealable_max; /* what one turn runs of the works that may be stolen is drawn from 1 to this. 0: 61, all it may run */
    uint64_t wall_ns;       /* what time it is in the world as it begins, in nanoseconds since 1970. 0: 2000-01-01 */
};

#define WEFT_SIM_OPTIONS                                                                                                                   \
    {                                                                                                                                      \
        sizeof(struct weft_sim_options), 0, NULL, NULL, 0, 0, 0                                                                            \
    }

/*
 * Create a world with nothing in it. `options` may be NULL.
 *
 * thread:  any; from then on the world's
 * memory:  the options are copied, trace_arg is borrowed
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_sim_create(const struct weft_sim_options *options, struct weft_sim **sim_out);

/*
 * Destroy a world with its hosts, after its last runtime and loop. NULL is ignored.
 *
 * thread:  the world's, outside of its loops
 */
void weft_sim_destroy(struct weft_sim *sim);

/*
 * The time in `sim`, in nanoseconds: what weft_loop_time() says on each of its loops.
 *
 * thread:  the world's
 * returns: 0 for NULL
 */
uint64_t weft_sim_now(const struct weft_sim *sim);

/*
 * What weft_sim_run() waits for; asked between rounds, outside of loops.
 *
 * thread:  the world's
 */
typedef bool weft_sim_condition_fn(void *arg);

/*
 * Run all runtimes of `sim` that are started, until `condition(arg)` is true, or for `limit_ns` of the world's time (below 0: no limit).
 * Without both, until nothing can happen any more.
 *
 * A loop that leaves by itself, because it was stopped or met a fatal status, stops its runtime, as with threads; weft_runtime_stop() says
 * why.
 *
 * thread:  the world's, outside of its loops; also within an event of weft_sim_call_later()
 * returns: 0 once the condition is true; -ETIMEDOUT; -EDEADLK without a limit if nothing can happen any more; WEFT_EOTHERLOOP;
 *          WEFT_EFORKED in a child whose callback returns (weft/runtime.h); -ENOMEM; -EINVAL
 */
int weft_sim_run(struct weft_sim *sim, weft_sim_condition_fn *condition, void *arg, int64_t limit_ns);

/*
 * Something that the scenario does to the world.
 *
 * thread:  the world's, outside of its loops
 */
typedef void weft_sim_event_fn(void *arg);

/*
 * Call `fn(arg)` after `delay_ns` of the world's time, between two rounds and outside of all loops: there hosts may be cut off, crash and
 * start, and runtimes be created, started and destroyed. As long as one is to come, nothing is a deadlock. Those that are left when the
 * world is destroyed are not called.
 *
 * thread:  the world's, its loops too
 * memory:  arg is borrowed until the call
 * returns: 0; -ENOMEM; -EINVAL
 */
int weft_sim_call_later(struct weft_sim *sim, uint64_t delay_ns, weft_sim_event_fn *fn, void *arg);

/*
 * Let `forward_ns` pass at once while no loop runs, as if the machine had slept: what was due meanwhile comes late, and nothing early.
 *
 * thread:  the world's, outside of its loops
 * returns: 0; -EINVAL
 */
int weft_sim_leap(struct weft_sim *sim, uint64_t forward_ns);

/* ---- hosts -------------------------------------------------------------------------------------------------------------------- */

/* How a host is made. Start with WEFT_SIM_HOST_OPTIONS. */
struct weft_sim_host_options {
    size_t size;
    const char *name;     /* what the others look it up by, up to 63 bytes; NULL: "host1", "host2", … */
    const char *address;  /* IPv4, numeric; NULL: 10.0.0.1, 10.0.0.2, … */
    const char *address6; /* IPv6, numeric; NULL: it has none, and sockets of that family are -EAFNOSUPPORT there */
    uint32_t cpus;        /* processors: the loops of a runtime that does not say how many it wants. 0: 2 */
    uint32_t reserved_word;
};

#define WEFT_SIM_HOST_OPTIONS                                                                                                              \
    {                                                                                                                                      \
        sizeof(struct weft_sim_host_options), NULL, NULL, NULL, 0, 0                                                                       \
    }

/*
 * Create a host. `options` may be NULL. Besides its own addresses each has 127.0.0.1, by the name "localhost", for itself.
 *
 * thread:  the world's
 * memory:  the options are copied; the host lives as long as its world
 * returns: 0; -EEXIST if its name or an address is taken; -EINVAL; -ENOMEM
 */
int weft_sim_host_create(struct weft_sim *sim, const struct weft_sim_host_options *options, struct weft_sim_host **host_out);

/*
 * The host called `name`.
 *
 * thread:  the world's
 * returns: NULL if there is none
 */
struct weft_sim_host *weft_sim_host_find(const struct weft_sim *sim, const char *name);

/*
 * Its name.
 *
 * thread:  the world's
 * memory:  lives as long as the host
 * returns: NULL for NULL
 */
const char *weft_sim_host_name(const struct weft_sim_host *host);

/*
 * Let what this thread makes from now on be on `host`: runtimes with the default driver and kind, loops of the default kind. NULL: in no
 * world, as it was at first. While a loop of a host takes a turn, that host is entered.
 *
 * thread:  the world's
 * returns: the host that was entered before, to enter again; NULL for none
 */
struct weft_sim_host *weft_sim_host_enter(struct weft_sim_host *host);

/*
 * The same to say it in words: the poller's options of loops that live on `host`, for weft_loop_options.poller.
 *
 * thread:  the world's
 * memory:  lives as long as the host
 * returns: NULL for NULL
 */
const struct weft_poller_options *weft_sim_host_poller(const struct weft_sim_host *host);

/*
 * The time of day on `host`, in nanoseconds since 1970. Nothing in weft goes by it; an application that does may be given it.
 *
 * thread:  the world's
 * returns: 0 for NULL
 */
uint64_t weft_sim_host_wall(const struct weft_sim_host *host);

/*
 * Set the time of day on `host` forward or back by `by_ns`.
 *
 * thread:  the world's
 * returns: 0; -EINVAL
 */
int weft_sim_host_jump(struct weft_sim_host *host, int64_t by_ns);

/*
 * How many descriptors are open on `host`, connections that nobody has accepted yet included. For tests of conservation.
 *
 * thread:  the world's
 */
size_t weft_sim_host_descriptors(const struct weft_sim_host *host);

/* ---- what goes wrong on a host ------------------------------------------------------------------------------------------------- */

/* Chances in a thousand, each drawn anew each time. Start with WEFT_SIM_FAULTS, which is none. */
struct weft_sim_faults {
    size_t size;
    uint32_t short_read_permille;    /* a read gives a part of what is there */
    uint32_t short_write_permille;   /* a write takes a part of what there is room for */
    uint32_t write_reset_permille;   /* a write finds that its connection was reset: -ECONNRESET, the peer's side too */
    uint32_t socket_permille;        /* no descriptor for a new socket: -EMFILE */
    uint32_t accept_emfile_permille; /* no descriptor for an accept: -EMFILE; the connection stays in the backlog */
    uint32_t accept_enfile_permille; /* the same, with -ENFILE */
    uint32_t accept_abort_permille;  /* the connection in the backlog has died: it is skipped, its client finds a reset */
    uint32_t resolve_permille;       /* a look-up fails for now: WEFT_ENAMEAGAIN */
    uint32_t memory_permille;        /* an allocation by a loop's turn fails. See weft_sim_host_set_faults() */
};

#define WEFT_SIM_FAULTS                                                                                                                    \
    {                                                                                                                                      \
        sizeof(struct weft_sim_faults), 0, 0, 0, 0, 0, 0, 0, 0, 0                                                                          \
    }

/*
 * Set what goes wrong on `host` from now on; NULL: nothing.
 *
 * With memory_permille, all of weft's memory comes through the simulator while a loop takes a turn: weft must not be at work in any other
 * thread then. What the process allocates once for good makes its first run differ from the second: run a first one without.
 *
 * thread:  the world's
 * memory:  copied
 * returns: 0; -EINVAL
 */
int weft_sim_host_set_faults(struct weft_sim_host *host, const struct weft_sim_faults *faults);

/*
 * Let no loop of `host` take a turn for `duration_ns`, as a stop of its process would: its timers are late, and what comes for it waits.
 *
 * thread:  the world's
 * returns: 0; -EINVAL
 */
int weft_sim_host_pause(struct weft_sim_host *host, uint64_t duration_ns);

/*
 * Cut the power of `host`: its loops take no more turns, its listeners and connections are gone, and nobody is told. What is sent to it
 * gets lost; a peer that goes on sending, or that connects, finds it silent until that peer gives up (see weft_sim_link), or, once the
 * host is back, refused and reset. On its own sockets every operation is -ENETDOWN.
 *
 * The runtimes that lived there stay their owner's, who destroys them before or after the restart; only then their tasks are unwound, and
 * what they had queued runs. A run or shutdown of one waits for nothing: -EDEADLK and -ETIMEDOUT.
 *
 * thread:  the world's, outside of its loops
 * returns: 0; -EALREADY if it is down; -EINVAL
 */
int weft_sim_host_crash(struct weft_sim_host *host);

/*
 * Start `host` after a crash: new runtimes may be made on it. The loops of the old ones never turn again.
 *
 * thread:  the world's, outside of its loops
 * returns: 0; -EALREADY if it is up; -EINVAL
 */
int weft_sim_host_restart(struct weft_sim_host *host);

/* ---- what goes wrong between hosts ---------------------------------------------------------------------------------------------- */

/*
 * One direction between two hosts. Zero everywhere is a link without delays and without faults. Start with WEFT_SIM_LINK.
 *
 * Latencies and losses are drawn for each chunk of bytes that one write sends, each end of a stream and each connect. Streams keep their
 * order: what comes behind a chunk that is late waits for it. A connect takes one latency of the way there. Acknowledgements take no time
 * and get lost with nothing but a connect, which needs both directions.
 */
struct weft_sim_link {
    size_t size;
    uint64_t latency_min_ns;
    uint64_t latency_max_ns; /* that of latency_min_ns if it is below */
    uint64_t bytes_per_s;    /* of each connection; 0: no limit */
    uint32_t window_bytes;   /* what a connection holds that was not read yet; 0: 64 KiB. Small ones make readers slow. New connections */
    uint32_t loss_permille;  /* of chunks: each is sent again after retransmit_ns, twice that, four times that, … */
    uint64_t retransmit_ns;  /* 0: 200 ms */
    uint64_t give_up_ns;     /* a connection where a chunk has not got through for so long breaks: -ETIMEDOUT for who sent it, -ECONNRESET
                                         for the other; a connect fails with -ETIMEDOUT. 0: as Linux, 924.6 s and 127 s */
    uint32_t connect_refuse_permille; /* of connects: -ECONNREFUSED */
    uint32_t connect_lose_permille;   /* of connects: nobody answers, and give_up_ns later it is -ETIMEDOUT */
    uint32_t reset_permille;          /* of chunks: the connection is reset in its place, for both ends */
    uint32_t reserved_word;
};

#define WEFT_SIM_LINK                                                                                                                      \
    {                                                                                                                                      \
        sizeof(struct weft_sim_link), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                                                      \
    }

/*
 * Set the direction from `from` to `to`, for what is sent from now on. NULL for a host means every one; a host's way to itself is set only
 * by naming it twice. NULL for `link` is a link without delays and faults. Hosts made later have what was last set for every one.
 *
 * thread:  the world's
 * memory:  copied
 * returns: 0; -EINVAL
 */
int weft_sim_set_link(struct weft_sim *sim, struct weft_sim_host *from, struct weft_sim_host *to, const struct weft_sim_link *link);

/*
 * Cut the direction from `from` to `to`: nothing gets through from now on, also of what is under way; NULL for a host means every other
 * one. What is sent waits for the heal, or until its sender gives up. Both directions are two calls, or weft_sim_partition().
 *
 * thread:  the world's
 * returns: 0; -EINVAL
 */
int weft_sim_cut(struct weft_sim *sim, struct weft_sim_host *from, struct weft_sim_host *to);

/*
 * Undo weft_sim_cut(): what waits gets through now, in its order. NULL for a host means every other one.
 *
 * thread:  the world's
 * returns: 0; -EINVAL
 */
int weft_sim_heal(struct weft_sim *sim, struct weft_sim_host *from, struct weft_sim_host *to);

/*
 * Cut both directions between each of the `count` hosts at `group` and each that is not there, and heal all other directions.
 *
 * thread:  the world's
 * returns: 0; -EINVAL
 */
int weft_sim_partition(struct weft_sim *sim, struct weft_sim_host *const *group, size_t count);

/*
 * Reset every connection between `one` and `other`, at both ends, whatever is cut: -ECONNRESET behind what had arrived. NULL means every
 * host.
 *
 * thread:  the world's
 * returns: how many there were; -EINVAL
 */
int weft_sim_reset(struct weft_sim *sim, struct weft_sim_host *one, struct weft_sim_host *other);

/* ---- what has happened ----------------------------------------------------------------------------------------------------------- */

/*
 * A number that stands for all events so far and their order, trace or not. Equal seeds and equal programs have equal ones.
 *
 * thread:  the world's
 * returns: 0 for NULL
 */
uint64_t weft_sim_trace_hash(const struct weft_sim *sim);

/*
 * Put a line of the application's own into the trace, and so into the hash.
 *
 * thread:  the world's, its loops too
 * memory:  `text` is read during the call; beyond 200 bytes it is cut off
 * returns: 0; -EINVAL
 */
int weft_sim_note(struct weft_sim *sim, const char *text);

/* What a world has counted. */
struct weft_sim_counters {
    uint64_t events;      /* lines of the trace */
    uint64_t rounds;      /* in which every loop might take a turn */
    uint64_t turns;       /* taken */
    uint64_t late_turns;  /* passed over */
    uint64_t connections; /* established */
    uint64_t chunks;      /* sent */
    uint64_t bytes;       /* sent */
    uint64_t losses;      /* of chunks */
    uint64_t resets;      /* of connections */
    uint64_t timeouts;    /* connections and connects given up */
    uint64_t faults;      /* of hosts: those of weft_sim_faults that happened */
};

/*
 * Copy the counters.
 *
 * thread:  the world's
 * returns: 0; -EINVAL
 */
int weft_sim_get_counters(const struct weft_sim *sim, struct weft_sim_counters *counters_out);

#ifdef __cplusplus
}
#endif

#endif
