/*
 * Engine: what the files of the checker share. A model author sees checker.h only.
 *
 *     main.c    the command line
 *     search.c  which run comes next: all of them, a bounded number of preemptions, or chance
 *     run.c     one run: threads, and which of them takes the next step
 *     weak.c    memory: what an atomic load may return
 *     shadow.c  plain memory: races, allocations
 *     hooks.c   where compiled code comes in
 *     sites.c   the atomics of the source, and their mutants
 *     report.c  what a failed run looked like
 *
 * All that changes lies behind `engine`, outside of the static data, which is put back before each run.
 */
#ifndef TESTS_MODEL_ENGINE_H
#define TESTS_MODEL_ENGINE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/task/fiber_switch.h"
#include "tests/model/atomic_model.h"
#include "tests/model/checker.h"

enum { THREADS = MODEL_THREADS_MAX + 1, NODES_MAX = 1 << 16, EVENTS_MAX = 1 << 15, VALUES_MAX = 62 };

/* Per thread, how many of its ticks are known. */
struct clock {
    uint32_t ticks[THREADS];
};

/* What a thread does next, or did. `address` 0: nothing that others see. */
struct operation {
    uintptr_t address;
    uint32_t size;
    bool is_write; /* or may become one */
    bool is_seq_cst;
    bool is_fence;
};

enum wait_kind { WAIT_NONE, WAIT_TOKEN, WAIT_PAUSE };

struct model_thread {
    struct fiber_context context;
    char *stack;
    char *locals; /* its thread-local data while it does not run */
    bool is_done;
    struct operation pending;
    enum wait_kind wait;
    struct model_token *token;
    struct clock happened; /* what happens before its next action: races are judged by this */
    struct clock seen;     /* also what coherence or a seq_cst fence lets it see: bounds what it may read. Never less than `happened` */
    struct clock released; /* by its last fence, for relaxed stores after it */
    struct clock released_seen;
    struct clock acquirable; /* by relaxed loads before its next fence */
    struct clock acquirable_seen;
    struct clock trace;   /* dependencies of what it did, for partial-order reduction */
    uint64_t writes;      /* its own */
    uint64_t writes_seen; /* those of others at its first look since its last pause */
    bool has_looked;      /* since then */
    bool was_stale;       /* and something that it saw since then was outdated */
    struct {              /* a store that is late */
        struct model_site *site;
        uintptr_t address;
        size_t size;
        uint64_t value;
    } late;
    uint32_t priority;
};

/* One thing that happened, for reduction and for the report. */
struct event {
    uint8_t thread;
    uint8_t old_by; /* loads: how many newer values there were */
    struct operation operation;
    const struct model_site *site;
    const char *what; /* if there is no site */
    uint64_t value;
    uint64_t before;
    int node;
    struct clock trace;
};

/* A point where a run could go on in several ways. */
struct node {
    bool is_value;
    uint8_t chosen;
    uint8_t count;     /* of values */
    uint8_t enabled;   /* sets of threads */
    uint8_t backtrack; /* to be tried */
    uint8_t done;      /* tried */
    uint8_t sleep;     /* need not be tried */
    uint8_t running;   /* who took the step before */
    bool was_enabled;  /* and could have gone on */
    uint8_t preemptions;
    uint8_t stale;
};

enum search_mode { SEARCH_ALL, SEARCH_BOUNDED, SEARCH_RANDOM, SEARCH_REPLAY };

enum run_end { RUN_PASSED, RUN_FAILED, RUN_PRUNED };

struct outcomes;

struct engine {
    /* The search. */
    enum search_mode mode;
    unsigned bound;
    const struct model *model;
    struct node *nodes;
    uint32_t node_count; /* on the path of this run */
    uint32_t node_depth; /* on the path from the last one that are given */
    uint64_t random;
    uint64_t run_seed;
    uint32_t change_points[8];
    const unsigned char *replay;
    size_t replay_count;
    uint64_t runs;
    uint64_t pruned;

    /* The run. */
    bool is_running; /* threads take turns */
    bool is_active;  /* hooks count */
    enum run_end end;
    struct fiber_context main_context;
    jmp_buf leave_point; /* of what fails in setup or check */
    struct model_thread threads[THREADS];
    unsigned thread_count;
    unsigned current;
    uint8_t sleep;
    uint32_t steps;
    uint32_t step_events; /* events of the last step begin here */
    uint32_t preemptions;
    uint32_t stale;
    uint64_t writes;
    struct event *events;
    uint32_t event_count;
    char failure[1024];

    /* Order of seq_cst fences. */
    struct clock fences_seen;

    struct outcomes *outcomes;
};

extern struct engine *engine;

/* ---- run.c */

/* Do one run of engine->model, on the path that engine->nodes says. */
enum run_end run_once(void);

/* The calling thread is about to do `operation`: let others go first if the path says so. */
void run_step(const struct operation *operation);

struct model_thread *run_self(void);

/* End the run: prune, or fail with what is in engine->failure. */
__attribute__((noreturn)) void run_leave(enum run_end end);

void run_init(void);

/* All static data is put back to what it is now. */
void run_remember(void);

/* Memory that is left as it is between runs. */
void *model_kept(size_t bytes);

/* The program's thread-local data. */
void *model_locals(size_t *bytes_out);

/* ---- search.c */

enum { CHOOSE_NONE = 255 };

/* Who takes the next step, of the set `enabled`; CHOOSE_NONE if nothing new would come of it. */
unsigned search_choose_thread(uint8_t enabled);

/* Which of `count` values; 0 is the newest or the usual one. `is_load`: a choice that bounded search counts. */
unsigned search_choose_value(unsigned count, bool is_load);

/* `event` is done, of which `past` was known before: remember what else could have been. */
void search_note_race(const struct event *event, const struct clock *past);

bool operations_depend(const struct operation *one, const struct operation *other);

struct search_result {
    enum run_end end;
    bool is_complete;
    uint64_t runs;
    uint64_t pruned;
    double seconds;
};

/* Search `model` as it says, for `seconds` at most (0: as long as it takes). */
struct search_result search_model(const struct model *model, double seconds, uint64_t seed, uint64_t random_factor);

/* The path of the last run, for --replay. */
size_t search_path(unsigned char *path, size_t max);

/* ---- weak.c */

void weak_init(void);
void weak_reset(void);
uint64_t weak_load(struct model_site *site, uintptr_t address, size_t size, enum model_order order);
void weak_store(struct model_site *site, uintptr_t address, size_t size, uint64_t value, enum model_order order);
uint64_t weak_update(struct model_site *site, uintptr_t address, size_t size, uint64_t operand);
bool weak_cas(struct model_site *site, uintptr_t address, size_t size, uint64_t *expected, uint64_t desired);
void weak_fence(struct model_site *site);

/* A read-modify-write of the checker's own, acq_rel: a token is taken or put. */
uint64_t weak_exchange_own(const char *what, uintptr_t address, size_t size, uint64_t value);

/* The newest value, as the kernel sees it: orders nothing. `is_write`: others' looks do not commute with it. */
uint64_t weak_look_own(const char *what, uintptr_t address, size_t size, bool is_write);

/* The calling thread has read the newest value, and from now on reads none that is older. */
void weak_know_newest(uintptr_t address, size_t size);

/* Plain code has written here: what atomics knew of it is history. */
void weak_forget(uintptr_t address, size_t size);

/* The latest atomic accesses that are not known to the calling thread: true if a plain one races with them. */
bool weak_races(uintptr_t address, size_t size, bool is_write);

/* Whether some memory in the range has atomic history. */
bool weak_is_atomic(uintptr_t address, size_t size);

/* ---- clocks */

static inline void clock_join(struct clock *into, const struct clock *from)
{
    for (unsigned i = 0; i < THREADS; i++)
        into->ticks[i] = into->ticks[i] < from->ticks[i] ? from->ticks[i] : into->ticks[i];
}

static inline void clock_tick(struct model_thread *thread, unsigned index)
{
    thread->seen.ticks[index] = ++thread->happened.ticks[index];
}

/* ---- shadow.c */

void shadow_init(void);
void shadow_reset(void);

/* A plain access of the running thread. */
void shadow_access(uintptr_t address, size_t size, bool is_write);

/* An atomic access: races with plain ones only. */
void shadow_atomic(uintptr_t address, size_t size, bool is_write);

/* Blocks that were never freed. */
size_t shadow_live_count(void);

/* ---- sites.c */

/* A mutant: a site, and how it is weakened. */
struct mutant {
    struct model_site *site;
    enum { MUTANT_ORDER, MUTANT_FAILURE, MUTANT_LATE } kind;
    enum model_order order;
};

/* All mutants of the sites that `suite` owns. The caller frees. */
size_t sites_mutants(const struct model_suite *suite, struct mutant **mutants_out);

/* Weaken every copy of the site, or set it right again. */
void mutant_apply(const struct mutant *mutant);
void mutant_undo(const struct mutant *mutant);

/* "inbox.h:inbox_push:cas_acq_rel#2>acquire" */
void mutant_name(const struct mutant *mutant, char *name, size_t bytes);
void site_name(const struct model_site *site, char *name, size_t bytes);
const char *order_name(enum model_order order);
bool site_is_hit(const struct model_site *site);

/* ---- report.c */

/* A digit for each choice, as --path= has them. */
extern const char path_digits[VALUES_MAX + 1];

void report_init(void);
void report_failure(const struct model *model);
void report_outcomes(void);
size_t report_outcome_count(void);
void report_outcomes_reset(void);
bool report_has_outcome(const char *text);

#endif
