/*
 * Actors: coroutines that follow a script, so that one rule can be put to every kind of coroutine.
 *
 *     struct actor *actor = ACTOR(fixture, SAY("before"), TRY_AWAIT(future), SAY("after"), RETURN("value"));
 *     struct weft_task *task = actor_start(fixture, actor);
 *
 * The script is the same; whether it is followed by a table of slots of our own, by a step function or by a fiber is the fixture's choice.
 */
#ifndef TESTS_CONFORMANCE_ACTOR_H
#define TESTS_CONFORMANCE_ACTOR_H

#include "tests/conformance/conformance.h"
#include "weft/coro.h"

enum { ACTS_MAX = 12 };

enum act_kind {
    ACT_END, /* return NULL */
    ACT_SAY,
    ACT_CALL,
    ACT_AWAIT,
    ACT_YIELD,
    ACT_RETURN,
    ACT_RAISE,
};

struct act {
    enum act_kind kind;
    bool is_catching; /* go on in spite of what is raised here */
    uint32_t flags;   /* of the await */
    int status;
    struct weft_future *future;
    weft_callback_fn *call;
    void *arg;
};

#define SAY(word)          ((struct act){.kind = ACT_SAY, .arg = (word)})
#define CALL(fn, arg_)     ((struct act){.kind = ACT_CALL, .call = (fn), .arg = (arg_)}) /* what it returns is raised */
#define AWAIT(what)        ((struct act){.kind = ACT_AWAIT, .future = (what)})
#define TRY_AWAIT(what)    ((struct act){.kind = ACT_AWAIT, .future = (what), .is_catching = true})
#define AWAIT_DETACH(what) ((struct act){.kind = ACT_AWAIT, .future = (what), .flags = WEFT_AWAIT_DETACH})
#define YIELD()            ((struct act){.kind = ACT_YIELD})
#define TRY_YIELD()        ((struct act){.kind = ACT_YIELD, .is_catching = true})
#define RETURN(value)      ((struct act){.kind = ACT_RETURN, .arg = (value)})
#define RAISE(code)        ((struct act){.kind = ACT_RAISE, .status = (code)})

struct actor {
    struct weft_coro coro; /* of CORO_OWN */
    struct act acts[ACTS_MAX];
    int next;
    bool is_started;
    int caught;       /* the last status that was raised into the script, 0 if none was */
    int caught_count; /* how many were */
    void *value;      /* what the last await gave */
    int drop_count;   /* CORO_OWN and CORO_STEP: how often the coroutine was freed */
    struct actor *older;
};

#define ACTOR(fixture, ...) actor_new((fixture), (const struct act[ACTS_MAX]){__VA_ARGS__})

/* An actor that lives as long as the fixture. */
struct actor *actor_new(struct fixture *fixture, const struct act acts[ACTS_MAX]);
void actors_free(struct fixture *fixture);

/* The coroutine of `actor`, of the fixture's kind. */
struct weft_coro *actor_coro(struct fixture *fixture, struct actor *actor);

/* A task of it on the fixture's loop; the caller gets a reference. */
struct weft_task *actor_start(struct fixture *fixture, struct actor *actor);

/* The same on another loop, with WEFT_TASK_… flags. */
struct weft_task *actor_start_on(struct fixture *fixture, struct weft_loop *loop, struct actor *actor, uint32_t flags);

/* A callback that cancels the current task, which is what an actor calls to cancel itself: CALL(cancel_current, NULL). */
int cancel_current(void *unused);

#endif
