/*
 * Context: the current one of each thread, and the variables as seen through it.
 *
 * Loops swap the context of what they run in and out; user code reads and sets variables. Invariant: the thread's slot owns one reference.
 * The slot is read through two functions that are never inlined, since a fiber may go on in another thread after any call of unknown code.
 */
#include "lib/base/context.h"

#include <errno.h>

#include "lib/base/thread.h"
#include "lib/base/thread_key.h"

/* The static model: one instruction from the thread pointer, and no lazy allocation on first use. */
static _Thread_local struct weft_context *context_slot __attribute__((tls_model("initial-exec")));

THREAD_LOCAL_ACCESSOR struct weft_context *weft_context_current(void)
{
    thread_local_barrier();
    return context_slot;
}

THREAD_LOCAL_ACCESSOR struct weft_context *context_swap_current(struct weft_context *context)
{
    thread_local_barrier();
    struct weft_context *before = context_slot;
    context_slot = context;
    return before;
}

/* -- the end of a thread that still has a context: only one that weft_context_var_set() made -- */

static uint64_t context_key_made;

static void context_thread_end(void *unused)
{
    (void)unused;
    weft_context_unref(context_swap_current(NULL));
}

/* Makes the thread let go of its context when it ends. Any value but NULL does that. */
static int context_watch_thread(void)
{
    pthread_key_t key;
    bool is_watched = thread_key_get(&context_key_made, context_thread_end, &key) && pthread_setspecific(key, &context_key_made) == 0;
    return is_watched ? 0 : -ENOMEM;
}

/* -- running -- */

int context_capture(struct weft_context **context_out)
{
    struct weft_context *current = weft_context_current();
    struct weft_context *copy = NULL;
    if (current != NULL && weft_context_count(current) > 0) {
        copy = weft_context_copy(current);
        if (copy == NULL)
            return -ENOMEM;
    }
    *context_out = copy;
    return 0;
}

int weft_context_run(struct weft_context *context, int (*fn)(void *arg), void *arg)
{
    if (fn == NULL)
        return -EINVAL;
    if (context != NULL && (context == weft_context_current() || !context_enter(context)))
        return -EBUSY;
    struct weft_context *before = context_swap_current(weft_context_ref(context));
    int result = fn(arg);
    struct weft_context *after = context_swap_current(before);
    if (context != NULL)
        context_leave(context);
    weft_context_unref(after);
    return result;
}

/* -- variables -- */

void *weft_context_var_get(const struct weft_context_var *var)
{
    if (var == NULL)
        return NULL;
    return weft_context_get(weft_context_current(), var, var->default_value);
}

/* Sets in the current context, which is made if there is none. */
static int context_exchange_current(const struct weft_context_var *var, struct context_value *value, struct context_value **before_out)
{
    struct weft_context *current = weft_context_current();
    if (current != NULL)
        return context_exchange(current, var, value, before_out);
    int status = context_watch_thread();
    struct weft_context *made = status == 0 ? weft_context_empty() : NULL;
    status = made == NULL ? -ENOMEM : context_exchange(made, var, value, before_out);
    if (status != 0) {
        weft_context_unref(made);
        return status;
    }
    (void)context_swap_current(made);
    return 0;
}

int weft_context_var_set(const struct weft_context_var *var, void *value, struct weft_context_token *token_out)
{
    if (var == NULL)
        return -EINVAL;
    struct context_value *before;
    struct context_value *box = context_value_new(var, value);
    if (box == NULL)
        return -ENOMEM;
    int status = context_exchange_current(var, box, &before);
    if (status != 0) {
        context_value_discard(box);
        return status;
    }
    if (token_out == NULL) {
        context_value_unref(before);
        return 0;
    }
    token_out->context = weft_context_ref(weft_context_current());
    token_out->var = var;
    token_out->before = before;
    return 0;
}

int weft_context_var_reset(struct weft_context_token *token)
{
    if (token == NULL)
        return -EINVAL;
    struct context_value *replaced;
    if (token->context == NULL)
        return -EALREADY;
    if (token->context != weft_context_current())
        return -EINVAL;
    int status = context_exchange(token->context, token->var, token->before, &replaced);
    if (status != 0)
        return status;
    token->before = NULL; /* the context's now */
    weft_context_token_drop(token);
    context_value_unref(replaced);
    return 0;
}

void weft_context_token_drop(struct weft_context_token *token)
{
    if (token == NULL)
        return;
    struct weft_context *context = token->context;
    struct context_value *before = token->before;
    *token = (struct weft_context_token){0};
    context_value_unref(before);
    weft_context_unref(context);
}
