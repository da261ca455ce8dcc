/*
 * Models of contexts: counts of contexts, maps and values, the lock of a context, and maps that are changed in place or copied.
 */
#include "lib/base/context.h"

#include "tests/model/checker.h"
#include "weft/atomic.h"
#include "weft/memory.h"

static uint32_t releases; /* atomic, relaxed */
static unsigned *value;   /* the first one of `colour`: a part for each thread */

/* Freeing is a write of the whole value. */
static void release_value(void *released)
{
    (void)weft_atomic_add_relaxed(&releases, 1);
    weft_free(released);
}

static const struct weft_context_var colour = {.size = sizeof(colour), .release = release_value};
static const struct weft_context_var number = {.size = sizeof(number)};

static struct weft_context *context; /* that all threads have a reference on */
static struct weft_context *copy;    /* of it: shares its map */

static void *value_new(void)
{
    unsigned *made = weft_calloc(4, sizeof(*made));
    made[0] = 1;
    return made;
}

static void setup(void)
{
    context = weft_context_empty();
    value = value_new();
    MODEL_CHECK(weft_context_set(context, &colour, value) == 0);
}

static void setup_shared(void)
{
    setup();
    copy = weft_context_copy(context);
}

static void setup_three_refs(void)
{
    setup();
    (void)weft_context_ref(context);
    (void)weft_context_ref(context);
}

/* ---- counting --------------------------------------------------------------------------------------------------------------------------- */

/* Writes its part of the value, which is freed with the last reference. */
static void use_and_drop(void)
{
    value[model_thread()]++;
    weft_context_unref(context);
}

static void count_and_drop(void)
{
    MODEL_CHECK(weft_context_count(context) == 1);
    weft_context_unref(context);
}

static void ref_and_drop(void)
{
    struct weft_context *mine = weft_context_ref(context);
    weft_context_unref(context);
    value[1]++;
    weft_context_unref(mine);
}

static void set_and_drop(void)
{
    MODEL_CHECK(weft_context_set(context, &number, &releases) == 0);
    weft_context_unref(context);
}

static void check_released(void)
{
    MODEL_CHECK(releases == 1);
}

/* ---- a map that is shared -------------------------------------------------------------------------------------------------------------- */

/* Reads through the copy, and lets it go: after that the map may change in place. */
static void read_copy_and_drop(void)
{
    unsigned *mine = weft_context_get(copy, &colour, NULL);
    MODEL_CHECK(mine != NULL && *mine == 1);
    weft_context_unref(copy);
}

/* The last one of the copy may be the one who releases the old value. */
static void replace_value(void)
{
    MODEL_CHECK(weft_context_set(context, &colour, value_new()) == 0);
}

static void copy_and_read(void)
{
    struct weft_context *own = weft_context_copy(context);
    unsigned *mine = weft_context_get(own, &colour, NULL);
    MODEL_CHECK(mine != NULL && *mine == 1);
    weft_context_unref(own);
}

static void add_number(void)
{
    MODEL_CHECK(weft_context_set(context, &number, &releases) == 0);
}

static void read_number(void)
{
    void *found = weft_context_get(context, &number, NULL);
    MODEL_CHECK(found == NULL || found == &releases);
    MODEL_CHECK(weft_context_contains(context, &colour));
}

static void end_context(void)
{
    weft_context_unref(context);
    MODEL_CHECK(releases >= 1);
}

static void end_with_number(void)
{
    MODEL_CHECK(weft_context_get(context, &number, NULL) == &releases);
    weft_context_unref(context);
    MODEL_CHECK(releases >= 1);
}

/* ---- entering ---------------------------------------------------------------------------------------------------------------------------- */

static uint32_t inside; /* atomic, relaxed */

static void enter_and_leave(void)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!context_enter(context))
            continue;
        MODEL_CHECK(weft_atomic_add_relaxed(&inside, 1) == 0);
        (void)weft_atomic_sub_relaxed(&inside, 1);
        context_leave(context);
    }
}

/* ---- swapped ------------------------------------------------------------------------------------------------------------------------------ */

static void drop_then_read(void)
{
    weft_context_unref(context);
    (void)weft_context_contains(context, &colour);
}

/* Reads the value of a context that another may change: without a reference on the value, which a copy would hold. */
static void read_without_copy(void)
{
    unsigned *mine = weft_context_get(context, &colour, NULL);
    MODEL_CHECK(*mine == 1);
}

static const struct model models[] = {
    {"drop", "The last of three references frees, after all have used the context", setup_three_refs,
     .threads = {ref_and_drop, use_and_drop, use_and_drop}, .check = check_released},
    {"count_and_drop", "Who lets the lock go is done with it before he lets go of the context", setup_three_refs,
     .threads = {count_and_drop, use_and_drop, use_and_drop}, .check = check_released},
    {"drop_copy", "A map and its value are freed after the last of two contexts that share them", setup_shared,
     .threads = {read_copy_and_drop, use_and_drop}, .check = check_released},
    {"copy_or_place", "A map changes in place only when its last copy has been read", setup_shared,
     .threads = {read_copy_and_drop, replace_value}, .check = end_context},
    {"copy_while_set", "A copy is of the map before or after a change, and keeps its value", setup,
     .threads = {copy_and_read, replace_value}, .check = end_context},
    {"add_while_read", "Two add and one reads, and nothing is lost", setup, .threads = {add_number, read_number, add_number},
     .check = end_with_number, .bound = 2, .random_runs = 2000},
    {"set_and_drop", "The same after a change", setup_three_refs, .threads = {set_and_drop, use_and_drop, use_and_drop},
     .check = check_released},
    {"enter", "One runs in a context at a time", setup, .threads = {enter_and_leave, enter_and_leave, enter_and_leave},
     .check = end_context},
};

static const struct model broken[] = {
    {"drop_then_read_swapped", "Who drops his reference and then reads touches freed memory", setup_three_refs,
     .threads = {drop_then_read, use_and_drop, use_and_drop}},
    {"read_without_copy", "A value that is read without a copy may be freed by who replaces it", setup,
     .threads = {read_without_copy, replace_value}, .check = end_context},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"lib/base/context"},
    };
    return model_main(&suite, argc, argv);
}
