/*
 * Context: what the rooms above need beyond <weft/context.h>.
 *
 * Whoever runs a handle or a step on behalf of a context swaps it in and out. The thread's slot owns one reference; swapping hands over
 * both references and touches no counter:
 *
 *     task->context = context_swap_current(task->context);   the thread's own now waits in the task
 *     ... run the step; it may set its first variable, or suspend and go on in another thread ...
 *     task->context = context_swap_current(task->context);   and comes back, with whatever context the step ends in
 */
#ifndef LIB_BASE_CONTEXT_H
#define LIB_BASE_CONTEXT_H

#include "weft/context.h"

struct context_value;

/*
 * Make `context` (may be NULL) the calling thread's current one. Safe on both sides of a switch of fibers.
 *
 * thread:  any
 * memory:  the reference on `context` goes to the thread, that on the result to the caller
 * returns: the one before, or NULL
 */
struct weft_context *context_swap_current(struct weft_context *context);

/*
 * Copy the current context for something that runs later. As long as nothing is set there, the copy is NULL and nothing is allocated:
 * what it runs gets a context of its own with the first set.
 *
 * thread:  any
 * memory:  one reference, the caller's, for context_swap_current() or weft_context_unref()
 * returns: 0; -ENOMEM
 */
int context_capture(struct weft_context **context_out);

/*
 * Put `value` (or nothing, if NULL) in the place of `var`, and say what was there. Between this room's two files.
 *
 * thread:  any
 * memory:  on success the reference on `value` is the context's and that on `before_out` (may be NULL) the caller's
 * returns: 0; -ENOMEM
 */
int context_exchange(struct weft_context *context, const struct weft_context_var *var, struct context_value *value,
                     struct context_value **before_out);

/*
 * Mark `context` as entered by weft_context_run(). Orders nothing: the context has a lock for that.
 *
 * thread:  any
 * returns: false if it is entered
 */
bool context_enter(struct weft_context *context);

/* Take the mark away. thread: any, after context_enter() */
void context_leave(struct weft_context *context);

/* Box `value` for `var`, with one reference. thread: any. returns: NULL when out of memory */
struct context_value *context_value_new(const struct weft_context_var *var, void *value);

/* One more reference; NULL is fine. thread: any. returns: `value` */
struct context_value *context_value_ref(struct context_value *value);

/* One less; the last one calls the variable's release. NULL is fine. thread: any, no lock held */
void context_value_unref(struct context_value *value);

/* Free the box and leave what is in it to the caller, who has the only reference. NULL is fine. thread: any */
void context_value_discard(struct context_value *value);

#endif
