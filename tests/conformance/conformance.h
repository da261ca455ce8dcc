/*
 * The harness of the conformance suite: a rule is written once and run over every kind of loop, alone and as one of four.
 *
 *     Rule(LOOP_1, call_soon_is_fifo)
 *     {
 *         call_soon(loop, note, "a");
 *         call_soon(loop, note, "b");
 *         run_once(loop);
 *         CHECK_STR(notes(), "a b");
 *     }
 *
 * The first word is the rule's id, with an underscore for the dash. Each variant is a test of its own, named `<kind>_x<loops>`, so that
 * a failure says which loop broke the rule. TaskRule is the same for rules about tasks, over every kind of coroutine as well; its
 * coroutines are actors (actor.h).
 *
 * A rule may leave behind what it likes on the loop. When its body has returned, the loop is closed and everything must be gone:
 * registered tasks, memory, descriptors, and every report to the exception handler must have been asked for with reports_take().
 */
#ifndef TESTS_CONFORMANCE_CONFORMANCE_H
#define TESTS_CONFORMANCE_CONFORMANCE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/test.h"
#include "weft/context.h"
#include "weft/future.h"
#include "weft/loop.h"
#include "weft/status.h"
#include "weft/task.h"
#include "weft/timer.h"

struct actor;
struct peers;
struct weft_sim;
struct weft_runtime;

/* What a task is made of in a TaskRule. */
enum coro_kind {
    CORO_OWN,   /* a table of slots that this suite brings: what a third party does */
    CORO_STEP,  /* weft/step.h */
    CORO_FIBER, /* weft/fiber.h */
};

struct fixture {
    struct weft_loop *loop;
    const struct weft_loop_kind *kind;
    int loop_count; /* 1: alone; 4: three others are busy, and some of their traffic passes through `loop` */
    enum coro_kind coro_kind;
    struct actor *actors;         /* freed at the end */
    struct weft_sim *world;       /* of `loop`, where that is the simulator's */
    struct weft_runtime *runtime; /* of all four. The one under test is run by hand even so; the others by threads, or by their world */
    struct peers *peers;          /* the three others, while they run */
};

typedef void rule_fn(struct fixture *fixture, struct weft_loop *loop);

/* Make a fixture, run `rule` in it, take it apart, and check that nothing is left. */
void conformance_run(rule_fn *rule, const struct weft_loop_kind *kind, int loop_count, enum coro_kind coro_kind);

/* A second loop of the same kind. The test closes and unrefs it, or calls loop_drop(). */
struct weft_loop *loop_new(struct fixture *fixture);
void loop_drop(struct weft_loop *loop);

/* The loops that what is stealable may run on: all of a runtime, or the loop under test. */
int house_count(const struct fixture *fixture);
struct weft_loop *house_loop(const struct fixture *fixture, int index); /* 0: the loop under test; counted round */
bool has_thieves(const struct fixture *fixture);

/* Within a callback of the loop under test: let the others go on until `is_true(arg)`, which must come. */
void await_others(struct fixture *fixture, bool (*is_true)(void *arg), void *arg);

/* Close the loop that the rule is put to: as its runtime does where it is of one, which ends the others' run before. Once or more. */
void rule_close(struct fixture *fixture);

#define Rule(id, words)     RULE_OVER_LOOPS(id##_##words)
#define TaskRule(id, words) RULE_OVER_COROS(id##_##words)

#define RULE_OVER_LOOPS(name)                                                                                                              \
    RULE_DECLARE(name)                                                                                                                     \
    RULE_OVER_COUNTS(epoll, weft_loop_kind_epoll(), name)                                                                                  \
    RULE_OVER_COUNTS(sim, weft_loop_kind_sim(), name)                                                                                      \
    RULE_OVER_COUNTS(custom, custom_loop_kind(), name)                                                                                     \
    RULE_DEFINE(name)

#define RULE_OVER_COROS(name)                                                                                                              \
    RULE_DECLARE(name)                                                                                                                     \
    TASK_RULE_OVER_COUNTS(epoll, weft_loop_kind_epoll(), name)                                                                             \
    TASK_RULE_OVER_COUNTS(sim, weft_loop_kind_sim(), name)                                                                                 \
    TASK_RULE_OVER_COUNTS(custom, custom_loop_kind(), name)                                                                                \
    RULE_DEFINE(name)

#define RULE_OVER_COUNTS(suite, kind, name)                                                                                                \
    RULE_VARIANT(suite##_x1, kind, 1, CORO_OWN, name)                                                                                      \
    RULE_VARIANT(suite##_x4, kind, 4, CORO_OWN, name)

#define TASK_RULE_OVER_COUNTS(suite, kind, name)                                                                                           \
    RULE_VARIANT(suite##_x1_own, kind, 1, CORO_OWN, name)                                                                                  \
    RULE_VARIANT(suite##_x1_step, kind, 1, CORO_STEP, name)                                                                                \
    RULE_VARIANT(suite##_x1_fiber, kind, 1, CORO_FIBER, name)                                                                              \
    RULE_VARIANT(suite##_x4_own, kind, 4, CORO_OWN, name)                                                                                  \
    RULE_VARIANT(suite##_x4_step, kind, 4, CORO_STEP, name)                                                                                \
    RULE_VARIANT(suite##_x4_fiber, kind, 4, CORO_FIBER, name)

#define RULE_VARIANT(suite, kind, loop_count, coro_kind, name)                                                                             \
    Test(suite, name, .timeout = 20)                                                                                                       \
    {                                                                                                                                      \
        conformance_run(name##_rule, kind, loop_count, coro_kind);                                                                         \
    }

#define RULE_DECLARE(name) static void name##_rule(struct fixture *fixture, struct weft_loop *loop);
#define RULE_DEFINE(name)                                                                                                                  \
    static void name##_rule(struct fixture *fixture __attribute__((unused)), struct weft_loop *loop __attribute__((unused)))

/* ---- what happened, in one line ------------------------------------------------------------------------------------------------- */

/* Note `word`, a string; a callback for call_soon(). Loop's thread. */
int note(void *word);

/* The same for a future's callback; its arg is the word. */
int note_done(struct weft_future *future, void *word);

/* What was noted since the last call of notes(), with a space between the words. */
const char *notes(void);

/* ---- running -------------------------------------------------------------------------------------------------------------------- */

/* Run exactly one iteration, which does not sleep. */
void run_once(struct weft_loop *loop);

/* Run iterations until `is_true(arg)`, at most ten seconds. */
void run_until(struct weft_loop *loop, bool (*is_true)(void *arg), void *arg);

/* Run until `future` is done, whatever it came to. */
void run_until_done(struct weft_loop *loop, struct weft_future *future);

/* weft_loop_call_soon() without context and handle; must succeed. */
void call_soon(struct weft_loop *loop, weft_callback_fn *fn, void *arg);

/* A callback that stops the loop that it is given. */
int stop_loop(void *loop);

/* A callback that calls weft_future_set_result(future, NULL). */
int resolve(void *future);

/* Run the loop under test until `task` is done, and drop the reference. Gives what it came to. */
int run_task(struct weft_loop *loop, struct weft_task *task);

/* A word that one thread sets and others look at; also for run_until() and wait_until(). */
void flag_set(uint32_t *flag);
bool flag_is_set(void *flag);

/* Run `fn(arg)` in a new thread and wait for its end. */
void in_other_thread(void (*fn)(void *arg), void *arg);

/* ---- futures and tasks ---------------------------------------------------------------------------------------------------------- */

struct weft_future *future_new(struct weft_loop *loop);

/* How many tasks of `loop` weft_all_tasks() tells. */
size_t task_count(struct weft_loop *loop);

/* True if `task` is among those of `loop` (NULL: of all). */
bool is_in_all_tasks(struct weft_loop *loop, const struct weft_task *task);

/* The current task; fails if there is no running loop. */
struct weft_task *current_task(void);

/* ---- reports to the exception handler ------------------------------------------------------------------------------------------- */

struct report {
    int status;
    uint64_t duration_ns;
    const struct weft_handle *handle; /* what they point to may be gone: for comparing only */
    const struct weft_future *future;
    const struct weft_task *task;
};

/* How many reports came from any loop of this suite since the last call. */
int reports_take(void);

/* The last one. */
struct report report_last(void);

/* The handler that counts them; loop_new() and the fixture install it. */
weft_exception_handler_fn reports_handler;

#endif
