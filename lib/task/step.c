/*
 * Step: a coroutine made of a function and its state, in one block.
 *
 * The task drives it through two slots; the macros of weft/step.h write down where it goes on.
 */
#include "weft/step.h"

#include <errno.h>
#include <string.h>

#include "lib/task/coro_task.h"

/* The state lies behind the head, aligned for any object; room for the task ahead of it (coro_new()). */
struct step_block {
    struct weft_step step;
    _Alignas(max_align_t) unsigned char state[];
};

static struct weft_step *step_of(struct weft_coro *coro)
{
    return weft_container_of(coro, struct weft_step, coro);
}

static void *step_state(struct weft_step *step)
{
    return ((struct step_block *)step)->state;
}

static int step_send(struct weft_coro *coro, int status, struct weft_suspend *suspend_out)
{
    struct weft_step *step = step_of(coro);
    step->suspend = suspend_out;
    return step->fn(step, step_state(step), status);
}

static void step_close(struct weft_coro *coro)
{
    struct weft_step *step = step_of(coro);
    if (step->drop != NULL)
        step->drop(step_state(step));
    coro_free(coro);
}

const struct weft_coro_ops step_ops = {.size = sizeof(step_ops), .send = step_send, .close = step_close};

int weft_step_new(weft_step_fn *fn, void (*drop)(void *state), size_t state_bytes, struct weft_coro **coro_out, void **state_out)
{
    if (fn == NULL || coro_out == NULL || state_bytes > PTRDIFF_MAX / 2)
        return -EINVAL;
    struct step_block *block = (struct step_block *)coro_new(sizeof(*block) + state_bytes);
    if (block == NULL)
        return -ENOMEM;
    block->step = (struct weft_step){.coro = {&step_ops}, .fn = fn, .drop = drop};
    if (state_bytes > 0)
        memset(block->state, 0, state_bytes);
    *coro_out = &block->step.coro;
    if (state_out != NULL)
        *state_out = block->state;
    return 0;
}

int weft_step_await(struct weft_step *step, struct weft_future *future, uint32_t flags)
{
    if (step == NULL)
        return -EINVAL;
    step->suspend->future = future;
    step->suspend->flags = flags;
    return WEFT_CORO_AWAIT;
}

int weft_step_yield(struct weft_step *step)
{
    (void)step;
    return WEFT_CORO_YIELD;
}

int weft_step_return(struct weft_step *step, void *value)
{
    if (step == NULL)
        return -EINVAL;
    step->suspend->value = value;
    return WEFT_CORO_RETURN;
}
