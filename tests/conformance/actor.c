/*
 * Actors: one script, three ways to follow it. actor_go() is what a coroutine without a stack does between two waits; the fiber's way
 * is straight-line code on the same acts. The two must agree on what a raised status does, which is what TaskRule compares.
 */
#include "tests/conformance/actor.h"

#include <stdlib.h>
#include <string.h>

#include "weft/fiber.h"
#include "weft/step.h"

struct actor *actor_new(struct fixture *fixture, const struct act acts[ACTS_MAX])
{
    struct actor *actor = calloc(1, sizeof(*actor));
    memcpy(actor->acts, acts, sizeof(actor->acts));
    actor->older = fixture->actors;
    fixture->actors = actor;
    return actor;
}

void actors_free(struct fixture *fixture)
{
    while (fixture->actors) {
        struct actor *actor = fixture->actors;
        fixture->actors = actor->older;
        free(actor);
    }
}

/* The wait of the present act is over with `status`: 0 to go on with the next one, or what leaves the script. */
static int actor_waited(struct actor *actor, int status)
{
    const struct act *act = &actor->acts[actor->next++];
    if (status == 0)
        return 0;
    actor->caught = status;
    actor->caught_count++;
    return act->is_catching ? 0 : status;
}

/* The same where the future has still to be asked. */
static int actor_asked(struct actor *actor, int status)
{
    const struct act *act = &actor->acts[actor->next];
    if (status == 0 && act->kind == ACT_AWAIT)
        status = weft_future_result(act->future, &actor->value);
    return actor_waited(actor, status);
}

/* Do what needs no wait, up to an act that waits or ends. */
static int actor_play(struct actor *actor)
{
    for (;; actor->next++) {
        const struct act *act = &actor->acts[actor->next];
        int status = 0;
        if (act->kind == ACT_SAY)
            note(act->arg);
        else if (act->kind == ACT_CALL)
            status = act->call(act->arg);
        else
            return 0;
        if (status < 0)
            return status;
    }
}

/* Go on to the next act that suspends or ends, without a stack. Below 0: what was raised and not caught. */
static int actor_go(struct actor *actor, int status)
{
    if (actor->is_started)
        status = actor_asked(actor, status);
    actor->is_started = true;
    while (status == 0) {
        status = actor_play(actor);
        const struct act *act = &actor->acts[actor->next];
        bool is_ready = act->kind == ACT_AWAIT && act->future && weft_future_done(act->future);
        if (status < 0 || !is_ready)
            break;
        status = actor_asked(actor, 0);
    }
    return status;
}

/* ---- as a coroutine of our own ---- */

static int own_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    struct actor *actor = (struct actor *)coro;
    status = actor_go(actor, status);
    if (status < 0)
        return status;
    const struct act *act = &actor->acts[actor->next];
    switch (act->kind) {
    case ACT_AWAIT:
        suspend_out->future = act->future;
        suspend_out->flags = act->flags;
        return WEFT_CORO_AWAIT;
    case ACT_YIELD:
        return WEFT_CORO_YIELD;
    case ACT_RAISE:
        return act->status;
    default:
        suspend_out->value = act->arg;
        return WEFT_CORO_RETURN;
    }
}

static void own_close(struct weft_coro *coro)
{
    ((struct actor *)coro)->drop_count++;
}

static const struct weft_coro_ops own_ops = {.size = sizeof(own_ops), .send = own_send, .close = own_close};

/* ---- as a step function ---- */

struct step_state {
    struct actor *actor;
};

static int step_go(struct weft_step *step, void *state, int status)
{
    struct actor *actor = ((struct step_state *)state)->actor;
    status = actor_go(actor, status);
    if (status < 0)
        return status;
    const struct act *act = &actor->acts[actor->next];
    switch (act->kind) {
    case ACT_AWAIT:
        return weft_step_await(step, act->future, act->flags);
    case ACT_YIELD:
        return weft_step_yield(step);
    case ACT_RAISE:
        return act->status;
    default:
        return weft_step_return(step, act->arg);
    }
}

static void step_drop(void *state)
{
    ((struct step_state *)state)->actor->drop_count++;
}

/* ---- as a fiber ---- */

static int fiber_go(void *arg, void **result_out)
{
    struct actor *actor = arg;
    int status = 0;
    actor->is_started = true;
    while (status == 0) {
        status = actor_play(actor);
        const struct act *act = &actor->acts[actor->next];
        if (status < 0)
            break;
        if (act->kind == ACT_AWAIT) {
            status = actor_waited(actor, weft_await_flags(act->future, act->flags, &actor->value));
        } else if (act->kind == ACT_YIELD) {
            status = actor_waited(actor, weft_yield());
        } else {
            *result_out = act->arg;
            return act->status;
        }
    }
    return status;
}

/* ---- making them ---- */

struct weft_coro *actor_coro(struct fixture *fixture, struct actor *actor)
{
    struct weft_coro *coro = &actor->coro;
    if (fixture->coro_kind == CORO_OWN) {
        actor->coro.ops = &own_ops;
    } else if (fixture->coro_kind == CORO_STEP) {
        struct step_state *state;
        CHECK_EQ(weft_step_new(step_go, step_drop, sizeof(*state), &coro, (void **)&state), 0);
        state->actor = actor;
    } else {
        CHECK_EQ(weft_fiber_new(fiber_go, actor, NULL, &coro), 0);
    }
    return coro;
}

struct weft_task *actor_start_on(struct fixture *fixture, struct weft_loop *loop, struct actor *actor, uint32_t flags)
{
    struct weft_task_options options = WEFT_TASK_OPTIONS;
    options.flags = flags;
    struct weft_task *task;
    CHECK_EQ(weft_loop_create_task(loop, actor_coro(fixture, actor), &options, &task), 0);
    return task;
}

struct weft_task *actor_start(struct fixture *fixture, struct actor *actor)
{
    return actor_start_on(fixture, fixture->loop, actor, 0);
}

int cancel_current(void *unused)
{
    (void)unused;
    CHECK(weft_task_cancel(current_task(), "by itself"));
    return 0;
}
