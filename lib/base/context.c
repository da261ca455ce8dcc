/*
 * Context: a reference-counted place that holds an immutable map, which copies of the context share.
 *
 *     context ─▶ map {count, [var, ●] [var, ●] …}         each ● a counted box around a value;
 *     copy    ─▶ the same map, until one of them sets     maps that share a value share its box
 *
 * Tasks and handles come here. A map is an array in the order of first setting, searched from the front and copied when it changes: a
 * program has a handful of variables, for which that beats every tree, and its order does not depend on addresses, so that values are
 * released in the same order in each run. Invariant: a map that more than one holds never changes. The lock of a context guards nothing
 * but its map pointer and the changes in place of a map that is its own; nothing is allocated, freed or called while it is held.
 */
#include "lib/base/context.h"

#include "weft/atomic.h"
#include "weft/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

struct context_value {
    size_t ref_count;
    void *value;
    void (*release)(void *value);
};

struct context_entry {
    const struct weft_context_var *var;
    struct context_value *value;
};

struct context_map {
    size_t ref_count;
    size_t count;
    struct context_entry entries[];
};

struct weft_context {
    size_t ref_count;
    uint32_t is_locked;
    uint32_t is_entered; /* by weft_context_run() */
    struct context_map *map;
};

/* -- counting -- */

static void count_ref(size_t *count)
{
    (void)weft_atomic_add_relaxed(count, 1);
}

/* True for the one that has to free. */
static bool count_unref(size_t *count)
{
    /* Pairs with itself: the last one acquires what all others, who released, did with the object. */
    return weft_atomic_sub_acq_rel(count, 1) == 1;
}

/* -- values -- */

struct context_value *context_value_new(const struct weft_context_var *var, void *value)
{
    assert(var->size >= sizeof(*var));
    struct context_value *box = weft_malloc(sizeof(*box));
    if (box != NULL)
        *box = (struct context_value){.ref_count = 1, .value = value, .release = var->release};
    return box;
}

struct context_value *context_value_ref(struct context_value *value)
{
    if (value != NULL)
        count_ref(&value->ref_count);
    return value;
}

void context_value_unref(struct context_value *value)
{
    if (value == NULL || !count_unref(&value->ref_count))
        return;
    if (value->release != NULL)
        value->release(value->value);
    weft_free(value);
}

void context_value_discard(struct context_value *value)
{
    weft_free(value);
}

/* -- maps -- */

static void map_unref(struct context_map *map)
{
    if (map == NULL || !count_unref(&map->ref_count))
        return;
    for (size_t i = 0; i < map->count; i++)
        context_value_unref(map->entries[i].value);
    weft_free(map);
}

/* The index of `var`, or the count. */
static size_t map_find(const struct context_map *map, const struct weft_context_var *var)
{
    size_t i = 0;
    while (i < map->count && map->entries[i].var != var)
        i++;
    return i;
}

static void map_append(struct context_map *map, const struct weft_context_var *var, struct context_value *value)
{
    map->entries[map->count++] = (struct context_entry){.var = var, .value = context_value_ref(value)};
}

/* A copy of `map` with `value` for `var`, or without `var` if that is NULL; and what `map` has there. */
static struct context_map *map_with(const struct context_map *map, const struct weft_context_var *var, struct context_value *value,
                                    struct context_value **before_out)
{
    size_t count = map == NULL ? 0 : map->count;
    struct context_map *next = weft_malloc(sizeof(*next) + (count + 1) * sizeof(next->entries[0]));
    if (next == NULL)
        return NULL;
    next->ref_count = 1;
    next->count = 0;
    *before_out = NULL;
    struct context_value *to_place = value;
    for (size_t i = 0; i < count; i++) {
        struct context_value *present = map->entries[i].value;
        if (map->entries[i].var == var) {
            *before_out = present;
            present = to_place;
            to_place = NULL;
        }
        if (present != NULL)
            map_append(next, map->entries[i].var, present);
    }
    if (to_place != NULL)
        map_append(next, var, to_place);
    return next;
}

/* -- the context's place for its map -- */

static void context_lock(struct weft_context *context)
{
    /* Pairs with the release in context_unlock(). Held for a few loads and stores, contended only by loops that share a context. */
    while (weft_atomic_exchange_acquire(&context->is_locked, 1) != 0)
        weft_atomic_pause();
}

static void context_unlock(struct weft_context *context)
{
    /* Pairs with the acquire in context_lock(). */
    weft_atomic_store_release(&context->is_locked, 0);
}

/* The map of now, with a reference for the caller. */
static struct context_map *context_map_ref(struct weft_context *context)
{
    context_lock(context);
    struct context_map *map = context->map;
    if (map != NULL)
        count_ref(&map->ref_count);
    context_unlock(context);
    return map;
}

static struct weft_context *context_new(struct context_map *map)
{
    struct weft_context *context = weft_malloc(sizeof(*context));
    if (context == NULL) {
        map_unref(map);
        return NULL;
    }
    *context = (struct weft_context){.ref_count = 1, .map = map};
    return context;
}

struct weft_context *weft_context_empty(void)
{
    return context_new(NULL);
}

struct weft_context *weft_context_copy(struct weft_context *context)
{
    return context_new(context == NULL ? NULL : context_map_ref(context));
}

struct weft_context *weft_context_ref(struct weft_context *context)
{
    if (context != NULL)
        count_ref(&context->ref_count);
    return context;
}

void weft_context_unref(struct weft_context *context)
{
    if (context != NULL && count_unref(&context->ref_count)) {
        map_unref(context->map);
        weft_free(context);
    }
}

/* -- reading -- */

static bool context_find(struct weft_context *context, const struct weft_context_var *var, void **value_out)
{
    if (context == NULL)
        return false;
    context_lock(context);
    const struct context_map *map = context->map;
    size_t i = map == NULL ? 0 : map_find(map, var);
    bool is_found = map != NULL && i < map->count;
    if (is_found)
        *value_out = map->entries[i].value->value;
    context_unlock(context);
    return is_found;
}

void *weft_context_get(struct weft_context *context, const struct weft_context_var *var, void *default_value)
{
    void *value = default_value;
    (void)context_find(context, var, &value);
    return value;
}

bool weft_context_contains(struct weft_context *context, const struct weft_context_var *var)
{
    void *value;
    return context_find(context, var, &value);
}

size_t weft_context_count(struct weft_context *context)
{
    size_t count = 0;
    if (context != NULL) {
        context_lock(context);
        count = context->map == NULL ? 0 : context->map->count;
        context_unlock(context);
    }
    return count;
}

/* -- writing -- */

static void map_put_in_place(struct context_map *map, size_t i, struct context_value *value)
{
    if (value != NULL) {
        map->entries[i].value = value;
        return;
    }
    map->count--;
    memmove(&map->entries[i], &map->entries[i + 1], (map->count - i) * sizeof(map->entries[0]));
}

/* Changes a map that nobody shares, if `var` is in it: no allocation. */
static bool context_exchange_in_place(struct weft_context *context, const struct weft_context_var *var, struct context_value *value,
                                      struct context_value **before_out)
{
    bool is_done = false;
    context_lock(context);
    struct context_map *map = context->map;
    /* Pairs with the release in count_unref() of the copies that once shared the map: they read it before we write. */
    if (map != NULL && weft_atomic_load_acquire(&map->ref_count) == 1) {
        size_t i = map_find(map, var);
        is_done = i < map->count;
        if (is_done) {
            *before_out = map->entries[i].value;
            map_put_in_place(map, i, value);
        }
    }
    context_unlock(context);
    return is_done;
}

/* Puts `next` in the place of `map`, unless another thread was faster. */
static bool context_replace_map(struct weft_context *context, struct context_map *map, struct context_map *next)
{
    context_lock(context);
    bool is_done = context->map == map;
    if (is_done)
        context->map = next;
    context_unlock(context);
    return is_done;
}

/* One try, on a copy of the map. Returns 0, -EAGAIN if another thread was faster, -ENOMEM. */
static int context_exchange_by_copy(struct weft_context *context, const struct weft_context_var *var, struct context_value *value,
                                    struct context_value **before_out)
{
    struct context_value *before;
    struct context_map *map = context_map_ref(context);
    struct context_map *next = map_with(map, var, value, &before);
    if (next == NULL) {
        map_unref(map);
        return -ENOMEM;
    }
    if (!context_replace_map(context, map, next)) {
        map_unref(next);
        map_unref(map);
        return -EAGAIN;
    }
    *before_out = context_value_ref(before);
    map_unref(map); /* ours */
    map_unref(map); /* the context's */
    return 0;
}

int context_exchange(struct weft_context *context, const struct weft_context_var *var, struct context_value *value,
                     struct context_value **before_out)
{
    int status;
    do {
        if (context_exchange_in_place(context, var, value, before_out))
            return 0;
        status = context_exchange_by_copy(context, var, value, before_out);
    } while (status == -EAGAIN);
    if (status == 0) {
        /* The new map took a reference of its own on the value; an exchange in place uses the caller's. */
        context_value_unref(value);
    }
    return status;
}

int weft_context_set(struct weft_context *context, const struct weft_context_var *var, void *value)
{
    if (context == NULL || var == NULL)
        return -EINVAL;
    struct context_value *before;
    struct context_value *box = context_value_new(var, value);
    if (box == NULL)
        return -ENOMEM;
    int status = context_exchange(context, var, box, &before);
    if (status != 0) {
        context_value_discard(box);
        return status;
    }
    context_value_unref(before);
    return 0;
}

/* -- entering -- */

bool context_enter(struct weft_context *context)
{
    uint32_t is_entered = 0;
    return weft_atomic_cas_relaxed(&context->is_entered, &is_entered, 1);
}

void context_leave(struct weft_context *context)
{
    weft_atomic_store_relaxed(&context->is_entered, 0);
}
