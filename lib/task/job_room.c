/*
 * The job stacks of a loop: borrowed at a fiber's first fork, given back as it ends, from whatever thread.
 *
 * Called by job.c and job_steal.c. The invariant: each stack that the room has made is exactly one of out, free (the owner's list) or
 * returned (by other threads, taken whole by the owner). The memory of a stack is never unmapped while it could be looked at: that is
 * while its loop lives, or it is out.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/task/job.h"
#include "weft/atomic.h"
#include "weft/memory.h"

/* Slots of a stack. Models make it small. */
#if !defined(JOBS_CAPACITY)
#define JOBS_CAPACITY 4096
#endif

enum {
    JOBS_REACH = 1,
    RESULTS_LEAST = 64,
};

#define SLOTS_BYTES (JOBS_CAPACITY * sizeof(struct weft_job))

struct job_room {
    struct loop_room_state state;                                  /* first */
    struct fiber_jobs *free;                                       /* the loop's thread's */
    struct fiber_jobs *newest;                                     /* of all */
    struct weft_loop *loop;                                        /* atomic: NULL once it is gone */
    uint32_t refs __attribute__((aligned(WEFT_CACHE_LINE_BYTES))); /* atomic: the loop, and the stacks that are out */
    struct fiber_jobs *returned;                                   /* atomic */
};

static uint64_t live_count;

uint64_t jobs_live_count(void)
{
    return weft_atomic_load_relaxed(&live_count);
}

static void room_unref(struct job_room *room)
{
    /* Acq_rel. Pairs with itself: whoever frees sees the stacks that came back. */
    if (weft_atomic_sub_acq_rel(&room->refs, 1) != 1)
        return;
    for (struct fiber_jobs *jobs = room->newest, *older; jobs != NULL; jobs = older) {
        older = jobs->older;
        (void)munmap(jobs->stack.slots, SLOTS_BYTES);
        weft_free(jobs);
    }
    weft_free(room);
}

static void room_fini(struct weft_loop *loop, struct loop_room_state *state)
{
    (void)loop;
    struct job_room *room = (struct job_room *)state;
    weft_atomic_store_relaxed(&room->loop, (struct weft_loop *)NULL);
    room_unref(room);
}

static struct job_room *job_room(struct weft_loop *loop)
{
    struct job_room *room = (struct job_room *)loop_room(loop, LOOP_ROOM_JOB);
    if (room != NULL)
        return room;
    room = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, sizeof(*room));
    if (room == NULL)
        return NULL;
    *room = (struct job_room){.state = {.fini = room_fini}, .loop = loop, .refs = 1};
    (void)loop_room_set(loop, LOOP_ROOM_JOB, &room->state); /* only the loop's thread does so */
    return room;
}

int jobs_open(struct weft_loop *loop)
{
    return job_room(loop) == NULL ? -ENOMEM : 0;
}

static struct fiber_jobs *jobs_make(struct job_room *room)
{
    struct fiber_jobs *jobs = weft_aligned_alloc(WEFT_CACHE_LINE_BYTES, sizeof(*jobs));
    if (jobs == NULL)
        return NULL;
    void *slots = mmap(NULL, SLOTS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slots == MAP_FAILED) {
        weft_free(jobs);
        return NULL;
    }
    *jobs = (struct fiber_jobs){.room = room, .older = room->newest, .assist.run = jobs_assist, .reach = JOBS_REACH};
    job_stack_init(&jobs->stack, slots, JOBS_CAPACITY);
    room->newest = jobs;
    return jobs;
}

static struct fiber_jobs *room_take(struct job_room *room)
{
    if (room->free == NULL)
        /* Pairs with the release in room_return(): the owner before has emptied it. */
        room->free = weft_atomic_exchange_acquire(&room->returned, (struct fiber_jobs *)NULL);
    struct fiber_jobs *jobs = room->free;
    if (jobs == NULL)
        return jobs_make(room);
    room->free = jobs->next;
    return jobs;
}

int jobs_borrow(struct weft_loop *loop, struct fiber_jobs **jobs_out)
{
    struct job_room *room = job_room(loop);
    struct fiber_jobs *jobs = room == NULL ? NULL : room_take(room);
    if (jobs == NULL)
        return -ENOMEM;
    jobs->task = NULL;
    jobs->fiber = NULL;
    jobs->stolen = NULL;
    jobs->slow_count = 0;
    jobs->is_joining = false;
    jobs->stack.status = 0;
    weft_atomic_store_relaxed(&jobs->refs, 1);
    (void)weft_atomic_add_relaxed(&room->refs, 1);
    (void)weft_atomic_add_relaxed(&live_count, 1);
    *jobs_out = jobs;
    return 0;
}

/* ---- what was run at its fork ------------------------------------------------------------------------------------------------------ */

int jobs_keep_result(struct fiber_jobs *jobs, uint32_t index, const void *result)
{
    if (index >= jobs->result_capacity) {
        uint32_t capacity = index < RESULTS_LEAST ? RESULTS_LEAST : 2 * index;
        void *results = weft_realloc(jobs->results, capacity * sizeof(*jobs->results));
        if (results == NULL)
            return -ENOMEM;
        jobs->results = results;
        memset(jobs->results + jobs->result_capacity, 0, (capacity - jobs->result_capacity) * sizeof(*jobs->results));
        jobs->result_capacity = capacity;
    }
    jobs->results[index] = *(const struct job_result *)result;
    return 0;
}

const void *jobs_result(const struct fiber_jobs *jobs, uint32_t index)
{
    static const struct job_result lost;
    return index < jobs->result_capacity ? &jobs->results[index] : &lost;
}

/* ---- and back ---------------------------------------------------------------------------------------------------------------------- */

static void room_return(struct job_room *room, struct fiber_jobs *jobs)
{
    struct fiber_jobs *newest = weft_atomic_load_relaxed(&room->returned);
    do
        jobs->next = newest;
    /* Pairs with the acquire in room_take(). */
    while (!weft_atomic_cas_release(&room->returned, &newest, jobs));
}

void jobs_unref(struct fiber_jobs *jobs)
{
    /* Acq_rel. Pairs with itself: whoever gives it back sees that the others are done. */
    if (weft_atomic_sub_acq_rel(&jobs->refs, 1) != 1)
        return;
    struct job_room *room = jobs->room;
    weft_free(jobs->results);
    jobs->results = NULL;
    jobs->result_capacity = 0;
    (void)weft_atomic_sub_relaxed(&live_count, 1);
    const struct weft_loop *loop = weft_atomic_load_relaxed(&room->loop); /* only its own thread takes it away */
    if (loop != NULL && loop_is_here(loop)) {
        jobs->next = room->free;
        room->free = jobs;
    } else {
        room_return(room, jobs);
    }
    room_unref(room);
}
