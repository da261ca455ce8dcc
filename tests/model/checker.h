/*
 * Checker: how a model is written. A model is a few threads that use weft's own source on small data, and what must hold at the end.
 *
 *     static struct inbox inbox;
 *
 *     static void setup(void) { inbox_init(&inbox); }
 *     static void producer(void) { … inbox_push(&inbox, …) … }
 *     static void consumer(void) { … MODEL_CHECK(batch.count <= 2); … }
 *     static void check(void) { MODEL_CHECK(inbox_is_empty(&inbox)); }
 *
 *     static const struct model models[] = {
 *         {.name = "post", .setup = setup, .threads = {producer, consumer}, .check = check},
 *     };
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const struct model_suite suite = {.models = models, .model_count = 1, .owns = {"lib/lockfree/inbox"}};
 *         return model_main(&suite, argc, argv);
 *     }
 *
 * What is compiled as a model (weft_model in model.bzl) runs its atomics in the checker, and each plain load and store is seen by it too,
 * so that a data race, or a touch of freed memory, is found in the product's code and in the model's without a word in either.
 *
 * A model runs many times. Before each run all static data, and thread-local data, is as it was when the program began; memory comes from
 * weft_malloc() or model_malloc(), is never reused within a run, and must be free at the end. Nothing in a model may depend on an address,
 * on time or on chance; what the environment may do this way or that way is a model_choose().
 *
 * thread:  the whole checker is one thread of the operating system
 */
#ifndef TESTS_MODEL_CHECKER_H
#define TESTS_MODEL_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MODEL_THREADS_MAX = 7, MODEL_OWNS_MAX = 12, MODEL_EQUIVALENT_MAX = 64 };

struct model {
    const char *name;
    const char *about;   /* what it shows, one sentence */
    void (*setup)(void); /* before the threads, alone; may be NULL */
    void (*threads[MODEL_THREADS_MAX])(void);
    void (*check)(void); /* after all threads have ended, alone; may be NULL */
    /*
     * How it is searched. 0: all of it, with partial-order reduction; it must come to its end. n > 0: all schedules with at most n - 1
     * preemptions and as many loads of old values, without reduction. Below 0: not exhaustively.
     */
    int bound;
    uint64_t random_runs; /* and so many runs with random priorities (PCT) after that */
    uint32_t steps_max;   /* atomic operations of one run, more is an error; 2,000 if 0 */
    bool may_leak;        /* memory that is left at the end is no error */
    bool may_sleep;       /* nor are threads that sleep for ever: check() says whether somebody should have woken them */
};

/* A mutant that changes nothing, and why. `site` as --mutants prints it, its weakening included; the argument goes into the README. */
struct model_equivalent {
    const char *site;
    const char *argument;
};

struct model_suite {
    const struct model *models;
    size_t model_count;
    const struct model *broken; /* variants with two steps swapped, which must be found to fail; may be NULL */
    size_t broken_count;
    const char *owns[MODEL_OWNS_MAX]; /* path prefixes of the files, or "file.c:function", whose sites this program's mutants weaken */
    const struct model_equivalent *equivalent; /* ended by one without a site */
};

/*
 * Run the models of `suite`, or what the arguments say; see --help. Without arguments: each model must pass, then each mutant of the sites
 * that are owned must be killed by one of them unless it is listed as equivalent.
 *
 * returns: the exit status of main()
 */
int model_main(const struct model_suite *suite, int argc, char **argv);

/* End the run as failed unless `condition`. */
#define MODEL_CHECK(condition)                                                                                                             \
    do {                                                                                                                                   \
        if (!(condition))                                                                                                                  \
            model_fail("%s:%d: MODEL_CHECK(%s)", __FILE__, __LINE__, #condition);                                                          \
    } while (0)

__attribute__((noreturn, format(printf, 1, 2))) void model_fail(const char *format, ...);

/* One of 0 … count - 1: every one is tried. */
unsigned model_choose(unsigned count);

/* Tell apart what a run ended with: each different text is counted, and a litmus test says which there must be. */
__attribute__((format(printf, 1, 2))) void model_outcome(const char *format, ...);

/* The calling thread's number: 0 in setup and check, 1 for threads[0], … */
unsigned model_thread(void);

/* What a thread sleeps on: a token, as an eventfd or a futex gives it. All zero is an empty one. */
struct model_token {
    uint32_t is_set;
};

/* Take the token, sleeping until there is one. All that sleep for ever, with nobody left who could wake them, are a lost wake-up. */
void model_wait(struct model_token *token);

/* As model_wait(), but it may also end without a token, at any time: false then. */
bool model_wait_timeout(struct model_token *token);

/* Put the token there. Synchronises with the wait that takes it. */
void model_signal(struct model_token *token);

/* True if a token is there, without taking it; a scheduling point. */
bool model_is_signalled(struct model_token *token);

/* As malloc() and free(), checked; weft_malloc() and its like come here too. Never NULL. */
void *model_malloc(size_t bytes);
void model_free(void *ptr);

/* Doubles for what the product asks the system for; see tests/model/world.h. */
long model_syscall(long number, ...);

#ifdef __cplusplus
}
#endif

#endif
