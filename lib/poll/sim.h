/*
 * Sim: a world of files without a kernel, as tests and the simulator's driver have it. What users see of it is weft/sim.h.
 *
 * A world has a clock of its own, streams that connect two files, listeners, and a script for each file of what shall go wrong. Its files
 * are ordinary `weft_file`s with a virtual descriptor (WEFT_FD_VIRTUAL and up), so that code above the poller runs on them unchanged. Equal
 * seeds and equal calls give equal results, to the nanosecond. What is made here is on the world's first host, which has no neighbours.
 *
 *      struct weft_sim *world = sim_world_create(&(struct sim_options){.size = sizeof(struct sim_options), .seed = 7});
 *      struct weft_poller_options options = {sizeof(options), 0, world};
 *      weft_poller_init(poller, weft_poller_sim_ops(), &options);
 *      sim_pair(world, &near, &far, 0);
 *      …
 *      poller->ops->fini(poller);
 *      sim_world_destroy(world);
 *
 * Time passes in two ways. The only poller of a world moves the clock on when it would sleep: to the next event or to the end of its
 * timeout, and with neither it really sleeps until a wake. Where several pollers share a world none may decide that: their driver calls
 * sim_world_advance(), and their waits return at once, or, of a loop that somebody runs by hand, have it drive the others meanwhile.
 *
 * thread:  all calls of one world, and all of its pollers but for wake, on one thread
 */
#ifndef LIB_POLL_SIM_H
#define LIB_POLL_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/operation.h"

struct weft_sim;

#define SIM_NEVER_NS UINT64_MAX
#define SIM_START_NS UINT64_C(1000000000) /* a world's first moment; not 0, so that "unset" is in the past */

/* Zero everywhere is a world without delays and without faults. */
struct sim_options {
    size_t size;
    uint64_t seed;
    uint64_t latency_min_ns; /* of each chunk of bytes, each end and each connect; streams keep their order */
    uint64_t latency_max_ns;
    size_t capacity;              /* bytes that a connected stream holds each way; 64 KiB if 0 */
    unsigned short_read_permille; /* of reads that give a part only of what is there */
    unsigned reset_permille;      /* of sends that find the connection reset */
};

/* Make a world; `options` may be NULL. NULL when out of memory. */
struct weft_sim *sim_world_create(const struct sim_options *options);

/* Free `world` and all that is in it, after its last poller. NULL is fine. */
void sim_world_destroy(struct weft_sim *world);

/* The time in `world`. */
uint64_t sim_world_now(const struct weft_sim *world);

/* When the next event of `world` is due; SIM_NEVER_NS if none is. */
uint64_t sim_world_next(struct weft_sim *world);

/* When the next call of weft_sim_call_later() is due; SIM_NEVER_NS if none is. */
uint64_t sim_world_next_call(const struct weft_sim *world);

/* Make one call that is due, outside of loops. False if none is. */
bool sim_world_call(struct weft_sim *world);

/* Let time pass until `until_ns`; all events due by then happen, in order. A time in the past only makes those happen that are due now. */
void sim_world_advance(struct weft_sim *world, uint64_t until_ns);

/* How many descriptors are open in `world`, those in backlogs included. For conservation tests. */
size_t sim_world_count(const struct weft_sim *world);

/* Initialise `near` and `far` as the two ends of a stream that holds `capacity` bytes each way (0: the world's own). 0; -ENOMEM. */
int sim_pair(struct weft_sim *world, struct weft_file *near, struct weft_file *far, size_t capacity);

/* Initialise `file` as a listener for `address`. 0; -EADDRINUSE; -EINVAL; -ENOMEM. */
int sim_listen(struct weft_sim *world, struct weft_file *file, const struct sockaddr *address, socklen_t len, unsigned backlog);

/* Initialise `file` as a socket that is not connected: a connect operation may follow. 0; -ENOMEM. */
int sim_socket(struct weft_sim *world, struct weft_file *file);

/* Initialise `file` as a socket connected to the listener at `address`, at once. 0; -ECONNREFUSED; -EAGAIN (backlog full); -ENOMEM. */
int sim_connect(struct weft_sim *world, struct weft_file *file, const struct sockaddr *address, socklen_t len);

/* Close a descriptor that has no file, or whose file was never submitted on. 0; -EBADF. */
int sim_close(struct weft_sim *world, int fd);

/* What the `nth` result (from 1) of operations of `kind` on a file shall be. Zero leaves a thing as it is. */
struct sim_step {
    enum weft_operation_kind kind;
    uint64_t nth;
    uint64_t delay_ns; /* pends that long, counted from the first attempt at it */
    int error;         /* then fails with this, a negative errno */
    size_t bytes_max;  /* else moves at most that many bytes */
};

/* Put `step` into the script of `file`. 0; -EBADF; -ENOMEM. */
int sim_script(struct weft_sim *world, const struct weft_file *file, const struct sim_step *step);

/* Reset the connection of `file`: both ends find -ECONNRESET behind what had arrived. */
void sim_reset(struct weft_sim *world, const struct weft_file *file);

/* Cut the connection of `file`: nothing arrives at either end, until sim_heal() lets through what was held back. */
void sim_cut(struct weft_sim *world, const struct weft_file *file);

/* Undo sim_cut(). */
void sim_heal(struct weft_sim *world, const struct weft_file *file);

/* ---- for the driver: sim_host.c, sim_world.c ---- */

struct random;
struct weft_sim_host;

/* What weft_sim_host_enter() was last told in this thread. thread: any */
struct weft_sim_host *sim_host_entered(void);

/* The world of `host`. */
struct weft_sim *sim_host_world(struct weft_sim_host *host);

/* How many processors `host` has; of a world without a host, NULL, as many as by default. */
uint32_t sim_host_cpus(const struct weft_sim_host *host);

/* How often `host` has been restarted. */
uint32_t sim_host_boot_count(const struct weft_sim_host *host);

/* True if `host` has had power ever since it had been restarted so often. */
bool sim_host_is_up(const struct weft_sim_host *host, uint32_t boot_count);

/* Until when its loops take no turn. */
uint64_t sim_host_paused_until(const struct weft_sim_host *host);

/* Of its allocations, how many in a thousand fail. */
uint32_t sim_host_memory_permille(const struct weft_sim_host *host);

/* The first host of `world`: where that lives which has no host of its own. NULL for NULL. */
struct weft_sim_host *sim_world_host(struct weft_sim *world);

/*
 * What the rest of the world does while a loop that somebody runs by hand is at its poller: one turn each, and if the poller may wait, on
 * from there until it has something or `until_ns` has come. Does nothing for a loop that the driver itself lets take its turn.
 *
 * returns: false if nothing can happen any more, before SIM_NEVER_NS
 */
typedef bool sim_meanwhile_fn(void *driver, uint64_t until_ns);

/* Where a driver keeps what it knows of `world`; NULL at first. */
void **sim_world_driver(struct weft_sim *world);

/* Say what goes on meanwhile; NULL: nothing. */
void sim_world_set_meanwhile(struct weft_sim *world, sim_meanwhile_fn *meanwhile);

/* The dice of the order of turns, and of allocations. */
struct random *sim_world_schedule(struct weft_sim *world);
struct random *sim_world_memory(struct weft_sim *world);

/* Draw: is a loop late now? How much stealable work may a turn run? */
bool sim_world_is_late(struct weft_sim *world);
uint32_t sim_world_draw_stealable(struct weft_sim *world);

/* Say that loop `index` of `host` has run so many works in a turn. */
void sim_world_turned(struct weft_sim *world, const struct weft_sim_host *host, uint32_t index, uint64_t works);

/* True if a wait of `poller`, made by the simulator's own init, would find nothing now. thread: the loop's */
bool sim_poller_is_quiet(struct weft_poller *poller);

/* Say that a round begins. */
void sim_world_round(struct weft_sim *world);

#endif
