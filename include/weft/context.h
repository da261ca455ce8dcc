/*
 * Context: the values of context variables, carried along by tasks and callbacks (PEP 567).
 *
 * A variable is a static object that names a value. A context maps variables to values; each task has one, each callback runs in the one
 * that was captured when it was scheduled, and what a task sets is not seen outside of it. Copying a context costs the same however many
 * variables are set, since copies share their map until one of them sets something.
 *
 *     static const struct weft_context_var request_id = WEFT_CONTEXT_VAR("request_id", NULL);
 *
 *     struct weft_context_token token;
 *     int status = weft_context_var_set(&request_id, id, &token);
 *     ...
 *     id = weft_context_var_get(&request_id);
 *     weft_context_var_reset(&token);
 *
 * Life cycle: weft_context_empty() or weft_context_copy() give a reference, weft_context_ref() one more, weft_context_unref() takes one
 * away. A thread or task in which nothing was ever set has no context at all (NULL), which reads as an empty one and costs nothing; the
 * first weft_context_var_set() makes one.
 *
 * Differences from Python: two loops may be in one context at the same time, if somebody gave it to tasks of both; calls on it are then
 * safe, and one sees what the other sets. weft_context_run() alone refuses a context that is entered, as Python does.
 */
#ifndef WEFT_CONTEXT_H
#define WEFT_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_context;

/* Its address is its identity: it must outlive each context in which it was set. Usually static and const. */
struct weft_context_var {
    size_t size;                  /* sizeof(struct weft_context_var) where it was compiled */
    const char *name;             /* for people */
    void *default_value;          /* what weft_context_var_get() returns where it was not set */
    void (*release)(void *value); /* NULL: values are borrowed. Else called once for each value set, when no context and no token holds
                                     it any more: in the thread that drops the last one, no lock held, not in the loop */
};

#define WEFT_CONTEXT_VAR(name, default_value)                                                                                              \
    {                                                                                                                                      \
        sizeof(struct weft_context_var), (name), (default_value), NULL                                                                     \
    }
#define WEFT_CONTEXT_VAR_OWNED(name, default_value, release)                                                                               \
    {                                                                                                                                      \
        sizeof(struct weft_context_var), (name), (default_value), (release)                                                                \
    }

/* What weft_context_var_reset() needs to bring a value back. Private inside. */
struct weft_context_token {
    struct weft_context *context;
    const struct weft_context_var *var;
    void *before;
};

/*
 * Make a context in which nothing is set.
 *
 * thread:  any
 * memory:  one reference, the caller's
 * returns: NULL when out of memory
 */
struct weft_context *weft_context_empty(void);

/*
 * Make a context in which the same is set as in `context` now; what either sets later the other does not see. NULL counts as empty.
 * Takes the same time however much is set.
 *
 * thread:  any
 * memory:  one reference, the caller's
 * returns: NULL when out of memory
 */
struct weft_context *weft_context_copy(struct weft_context *context);

/*
 * Take one more reference. NULL is fine.
 *
 * thread:  any
 * returns: `context`
 */
struct weft_context *weft_context_ref(struct weft_context *context);

/*
 * Give a reference back; the last one frees the context, and releases the values that nobody else holds. NULL is fine.
 *
 * thread:  any
 * memory:  `context` is gone with the last reference
 */
void weft_context_unref(struct weft_context *context);

/*
 * The value of `var` in `context`, or `default_value` if it is not set there; the variable's own default plays no part.
 *
 * thread:  any
 * memory:  the value is borrowed until `var` is set or reset in this context
 */
void *weft_context_get(struct weft_context *context, const struct weft_context_var *var, void *default_value);

/*
 * True if `var` is set in `context`, be it to NULL.
 *
 * thread:  any
 */
bool weft_context_contains(struct weft_context *context, const struct weft_context_var *var);

/*
 * How many variables are set in `context`.
 *
 * thread:  any
 */
size_t weft_context_count(struct weft_context *context);

/*
 * Set `var` to `value` in `context`, which is not NULL. The value that was there is released once nobody holds it.
 *
 * thread:  any
 * memory:  on success `value` is the context's, if the variable has a release; on failure it stays the caller's
 * returns: 0; -ENOMEM, and nothing has changed
 */
int weft_context_set(struct weft_context *context, const struct weft_context_var *var, void *value);

/*
 * The context that the calling thread runs in: the running task's or callback's, else the thread's own.
 *
 * thread:  any
 * memory:  borrowed, until control returns to the loop; weft_context_ref() keeps it
 * returns: NULL as long as nothing was set: an empty one
 */
struct weft_context *weft_context_current(void);

/*
 * Call `fn(arg)` in `context`: what it sets, it sets there. NULL is an empty one that is dropped afterwards.
 *
 * `fn` runs inside this call, and may suspend where it is called from a fiber.
 *
 * thread:  any
 * memory:  `context` is kept for the duration of the call
 * returns: what `fn` returned; -EBUSY if `context` is entered already, by this call or as the thread's current one: `fn` was not called
 */
int weft_context_run(struct weft_context *context, int (*fn)(void *arg), void *arg);

/*
 * The value of `var` in the current context, or the variable's default.
 *
 * thread:  any
 * memory:  borrowed until `var` is set or reset in the current context
 */
void *weft_context_var_get(const struct weft_context_var *var);

/*
 * Set `var` to `value` in the current context. With a `token_out` the value from before is kept, for one weft_context_var_reset() or
 * weft_context_token_drop(); NULL if that is of no interest.
 *
 * thread:  any
 * memory:  as weft_context_set(); the token holds a reference on the context and the value from before
 * returns: 0; -ENOMEM, nothing has changed and there is no token
 */
int weft_context_var_set(const struct weft_context_var *var, void *value, struct weft_context_token *token_out);

/*
 * Bring `token`'s variable back to what it was before the set that made the token, or to not being set. The token is used up.
 *
 * thread:  any, in the context in which the token was made
 * memory:  on success the token holds nothing any more
 * returns: 0; -EINVAL if the current context is another one, -EALREADY if the token was used, -ENOMEM; then the token stays as it was
 */
int weft_context_var_reset(struct weft_context_token *token);

/*
 * Give up the way back: the token is used up and nothing else happens. A used token is fine.
 *
 * thread:  any
 * memory:  the token holds nothing any more
 */
void weft_context_token_drop(struct weft_context_token *token);

#ifdef __cplusplus
}
#endif

#endif
