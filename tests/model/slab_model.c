/*
 * Models of the slab's remote list: others give objects back while their owner takes, counts, and at last frees all.
 */
#include "lib/base/slab.h"

#include "tests/model/checker.h"
#include "weft/atomic.h"
#include "weft/memory.h"

enum { OBJECTS = 4 };

struct object {
    void *link; /* the slab's while it is free */
    unsigned value;
};

static struct slab slab;
static struct object *objects[OBJECTS];
static bool was_given[OBJECTS];
static uint32_t given_back; /* atomic, relaxed: how many frees are over */

static void setup(void)
{
    slab_init(&slab, sizeof(struct object));
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = slab_alloc(&slab);
        objects[i]->value = i + 1;
    }
}

/* The last word of who has the object. */
static void give_back(unsigned index)
{
    objects[index]->value += 10;
    slab_free_remote(&slab, objects[index]);
    was_given[index] = true;
}

static void give_one(void)
{
    give_back(0);
}

static void give_two(void)
{
    give_back(1);
    give_back(2);
}

static void give_last(void)
{
    give_back(3);
}

static void give_and_tell_one(void)
{
    give_back(0);
    (void)weft_atomic_add_relaxed(&given_back, 1);
}

static void give_and_tell_two(void)
{
    give_back(1);
    (void)weft_atomic_add_relaxed(&given_back, 1);
}

/* What comes back has its last user's last word, and is nobody else's. */
static void take_some(unsigned count)
{
    struct object *taken[OBJECTS];
    for (unsigned i = 0; i < count; i++) {
        taken[i] = slab_alloc(&slab);
        taken[i]->value = 100;
        for (unsigned j = 0; j < i; j++)
            MODEL_CHECK(taken[i] != taken[j]);
    }
    for (unsigned i = 0; i < count; i++)
        slab_free(&slab, taken[i]);
}

static void take_one(void)
{
    take_some(1);
    take_some(1);
}

static void take_two(void)
{
    take_some(2);
}

/* Takes an object and has another thread, itself, give it back. */
static void take_and_give(void)
{
    struct object *object = slab_alloc(&slab);
    object->value = 100;
    slab_free_remote(&slab, object);
    take_some(1);
}

static void count(void)
{
    size_t live = slab_live_count(&slab);
    MODEL_CHECK(live <= OBJECTS && live + 1 >= OBJECTS - 2);
}

/* The owner ends when nobody is left who could give something back. */
static void finish_after(uint32_t count)
{
    while (weft_atomic_load_relaxed(&given_back) < count)
        weft_atomic_pause();
    while (slab_live_count(&slab) > OBJECTS - count)
        weft_atomic_pause();
}

static void finish_after_two(void)
{
    finish_after(2);
}

/* All that was not given back is still out. */
static void check(void)
{
    for (unsigned i = 0; i < OBJECTS; i++)
        if (!was_given[i])
            slab_free(&slab, objects[i]);
    MODEL_CHECK(slab_fini(&slab) == 0);
}

/* ---- swapped ---------------------------------------------------------------------------------------------------------------------------- */

static void give_then_write(void)
{
    slab_free_remote(&slab, objects[0]);
    objects[0]->value += 10;
}

/* Links the object after it has pushed it. */
static void push_then_link(void)
{
    struct slab_object *head = weft_atomic_load_relaxed(&slab.remote);
    while (!weft_atomic_cas_release(&slab.remote, &head, (struct slab_object *)(void *)objects[0]))
        continue;
    objects[0]->link = head;
}

/* Takes one off the list instead of all: between the look at its link and the swap it may have come back. */
static void pop_one(void)
{
    struct slab_object *head = weft_atomic_load_acquire(&slab.remote);
    if (head == NULL)
        return;
    void *next = ((struct object *)(void *)head)->link;
    weft_atomic_store_release(&slab.remote, (struct slab_object *)next);
    slab_free(&slab, head);
}

static const struct model models[] = {
    {"give_take", "Who is given an object again sees what its last user did", setup, .threads = {give_one, take_one}, .may_leak = true},
    {"give_count", "A count while others give back sees the links", setup, .threads = {give_two, count}, .may_leak = true},
    {"two_givers", "What two give back at once, the owner takes whole", setup, .threads = {give_one, give_two, take_two}, .check = check},
    {"owner_gives", "The owner too may give back by the remote list", setup, .threads = {give_one, give_last, take_and_give},
     .check = check},
    {"give_and_tell", "What two have given back is counted when both have said so without an order", setup,
     .threads = {give_and_tell_one, give_and_tell_two, finish_after_two}, .check = check},
    {"three_givers", "Three give back while the owner takes", setup, .threads = {give_one, give_two, give_last, take_one}, .check = check,
     .bound = 2, .random_runs = 2000},
};

static const struct model broken[] = {
    {"give_then_write_swapped", "Who writes after giving back races with the next user", setup, .threads = {give_then_write, take_one},
     .may_leak = true},
    {"push_then_link_swapped", "A link that is set after the push is read too early", setup, .threads = {push_then_link, take_one},
     .may_leak = true},
    {"pop_one", "Taking one by look and swap loses who comes in between", setup, .threads = {give_one, give_two, pop_one}, .check = check},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"lib/base/slab"},
    };
    return model_main(&suite, argc, argv);
}
