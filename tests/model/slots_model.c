/*
 * Models of the slots: registering, finding, walking and ending, with segments and blocks of two. The free list is in slots_free_model.c.
 *
 * An object has a part for each thread; its release frees it, which is a write of all parts.
 */
#include "lib/lockfree/slots.h"

#include "tests/model/checker.h"
#include "weft/atomic.h"
#include "weft/memory.h"

enum { PARTS = 5 };

struct object {
    unsigned parts[PARTS]; /* plain */
};

/* What a walk or a look-up gave: a pointer, and not the links of a free slot. */
static struct object *object_of(void *found)
{
    MODEL_CHECK((uintptr_t)found >> 36 != 0);
    return found;
}

static void release(void *object)
{
    struct object *released = object_of(object);
    for (unsigned i = 0; i < PARTS; i++)
        released->parts[i]++;
    weft_free(released);
}

static struct slots slots = SLOTS_INIT(release);
static struct object *objects[3];
static uint64_t ids[3];
static uint64_t first_id; /* of objects[0], from the setup */
static uint64_t shown_id; /* atomic, relaxed: an id that somebody may have from anywhere */

static uint64_t register_new(unsigned index, struct slots_cache *cache)
{
    objects[index] = weft_calloc(1, sizeof(struct object));
    objects[index]->parts[model_thread()] = 1;
    MODEL_CHECK(slots_register(&slots, cache, objects[index], &ids[index]) == 0);
    return ids[index];
}

static void setup_one(void)
{
    (void)register_new(0, NULL);
    first_id = ids[0];
    weft_atomic_store_relaxed(&shown_id, first_id);
}

static void setup_two(void)
{
    (void)register_new(1, NULL);
    setup_one();
}

/* Its slot has two generations left. */
static void setup_old(void)
{
    setup_one();
    MODEL_CHECK(slots_unregister(&slots, NULL, ids[0]));
    struct slot *slot = &slots.segments[0][0].slots[(uint32_t)ids[0]];
    weft_atomic_store_relaxed(&slot->state, (uint64_t)(UINT32_MAX - 2) << SLOTS_STATE_GENERATION);
    setup_one();
    MODEL_CHECK(first_id >> 32 == UINT32_MAX - 1);
}

/* ---- who finds, who ends ---------------------------------------------------------------------------------------------------------------- */

/* Looks up what is shown, and uses its part. */
static void pin_and_use(void)
{
    uint64_t id = weft_atomic_load_relaxed(&shown_id);
    struct object *object = slots_pin(&slots, id);
    if (object == NULL)
        return;
    object_of(object)->parts[model_thread()]++;
    slots_unpin(&slots, NULL, id);
}

/* The same id by a way that keeps order. */
static uint64_t told_id;

static void register_and_tell(void)
{
    uint64_t id = register_new(0, NULL);
    weft_atomic_store_release(&told_id, id);
}

static void find_what_was_told(void)
{
    uint64_t id = weft_atomic_load_acquire(&told_id);
    if (id == 0)
        return;
    MODEL_CHECK(slots_pin(&slots, id) == objects[0]);
    slots_unpin(&slots, NULL, id);
}

static void use_and_end(void)
{
    objects[0]->parts[model_thread()]++;
    MODEL_CHECK(slots_unregister(&slots, NULL, ids[0]));
}

/* Of setup_two(): the other object of the page. */
static void use_and_end_second(void)
{
    objects[1]->parts[model_thread()]++;
    MODEL_CHECK(slots_unregister(&slots, NULL, ids[1]));
}

static bool was_ended[2];

static void try_to_end(void)
{
    was_ended[model_thread() - 1] = slots_unregister(&slots, NULL, ids[0]);
}

static void check_ended_once(void)
{
    MODEL_CHECK(was_ended[0] + was_ended[1] == 1);
}

static void register_and_show(void)
{
    uint64_t id = register_new(0, NULL);
    MODEL_CHECK(slots_count(&slots) >= 1);
    weft_atomic_store_relaxed(&shown_id, id);
}

/* The registrant finds what it has registered. */
static void register_and_end(void)
{
    uint64_t id = register_new(0, NULL);
    struct object *object = slots_pin(&slots, id);
    MODEL_CHECK(object == objects[0]);
    slots_unpin(&slots, NULL, id);
    MODEL_CHECK(slots_unregister(&slots, NULL, id));
}

/* Ends one, and registers another in the same slot. */
static void replace(void)
{
    objects[0]->parts[model_thread()]++;
    uint64_t before = ids[0];
    MODEL_CHECK(slots_unregister(&slots, NULL, before));
    uint64_t id = register_new(2, NULL);
    MODEL_CHECK(id != before);
    weft_atomic_store_relaxed(&shown_id, id);
}

static void pin_old(void)
{
    uint64_t id = first_id;
    struct object *object = slots_pin(&slots, id);
    if (object == NULL)
        return;
    MODEL_CHECK(object == objects[0]);
    object->parts[model_thread()]++;
    slots_unpin(&slots, NULL, id);
}

/* Three registrations where two generations are left: the slot is retired. */
static void use_up(void)
{
    MODEL_CHECK(slots_unregister(&slots, NULL, ids[0]));
    for (unsigned i = 0; i < 2; i++) {
        uint64_t id = register_new(2, NULL);
        MODEL_CHECK(id >> 32 != 0 && ((uint32_t)id != (uint32_t)first_id || id >> 32 == UINT32_MAX));
        MODEL_CHECK(slots_unregister(&slots, NULL, id));
    }
}

/* ---- walks -------------------------------------------------------------------------------------------------------------------------------- */

static void walk(struct object *must_see)
{
    struct slots_entry entries[SLOTS_PAGE];
    uint64_t cursor = 0;
    unsigned seen = 0, limit = 0;
    size_t count;
    while ((count = slots_walk(&slots, NULL, &cursor, entries)) > 0) {
        for (size_t i = 0; i < count; i++) {
            struct object *object = object_of(entries[i].object);
            object->parts[model_thread()]++;
            seen += object == must_see;
            MODEL_CHECK(++limit <= 4);
        }
        slots_unpin(&slots, NULL, entries[0].id);
    }
    MODEL_CHECK(seen == (must_see != NULL));
}

static void walk_for_one(void)
{
    walk(objects[1]);
}

static void walk_any(void)
{
    walk(NULL);
}

static void register_third(void)
{
    (void)register_new(2, NULL);
}

static void register_first(void)
{
    (void)register_new(0, NULL);
}

static void check_and_end(void)
{
    for (unsigned i = 0; i < 3; i++)
        (void)slots_unregister(&slots, NULL, ids[i]);
    struct slots_census census = slots_census(&slots);
    MODEL_CHECK(census.live == 0 && census.dying == 0 && census.pins == 0);
    MODEL_CHECK(census.total == census.listed + census.retired);
    slots_fini(&slots);
}

static void check_ended(void)
{
    check_ended_once();
    check_and_end();
}

static void check_retired(void)
{
    MODEL_CHECK(slots_census(&slots).retired <= 1); /* none, if the other's pin kept the slot for too long */
    check_and_end();
}

/* ---- swapped ------------------------------------------------------------------------------------------------------------------------------- */

static void unpin_then_use(void)
{
    struct object *object = slots_pin(&slots, ids[0]);
    if (object == NULL)
        return;
    slots_unpin(&slots, NULL, ids[0]);
    object->parts[model_thread()]++;
}

static void end_then_use(void)
{
    MODEL_CHECK(slots_unregister(&slots, NULL, ids[0]));
    objects[0]->parts[model_thread()]++;
}

/* Looks at the state, pins then, and looks no more: the registration may have ended in between. */
static void look_then_pin(void)
{
    struct slots_page *page = &slots.segments[0][0];
    struct slot *slot = &page->slots[(uint32_t)ids[0]];
    uint64_t state = weft_atomic_load_acquire(&slot->state);
    if (!(state & SLOTS_STATE_LIVE) || state >> 32 != ids[0] >> 32)
        return;
    (void)weft_atomic_add_seq_cst(&page->pins, 1);
    MODEL_CHECK(weft_atomic_load_relaxed(&slot->content) == (uintptr_t)objects[0]);
    slots_unpin(&slots, NULL, ids[0]);
}

static const struct model models[] = {
    {"register", "An object is found with all that its maker wrote, by an id that came from anywhere", NULL,
     .threads = {register_and_show, pin_and_use}, .check = check_and_end},
    {"register_tell", "Who was told of an id finds its object", NULL, .threads = {register_and_tell, find_what_was_told},
     .check = check_and_end},
    {"register_own", "Whoever registers finds its object at once", NULL, .threads = {register_and_end, walk_any}, .check = check_and_end},
    {"pin", "The last of two pins releases what was ended meanwhile, after all have used it", setup_one,
     .threads = {use_and_end, pin_and_use, pin_and_use}, .check = check_and_end, .bound = 3, .random_runs = 2000},
    {"page", "A pin of one object holds the others of its page, and its end releases them", setup_two,
     .threads = {use_and_end, use_and_end_second, walk_any}, .check = check_and_end},
    {"end_twice", "Of two who end a registration one does", setup_one, .threads = {try_to_end, try_to_end, pin_and_use},
     .check = check_ended},
    {"replace", "An id never finds the next object of its slot", setup_one, .threads = {replace, pin_old}, .check = check_and_end},
    {"generations", "The last generation of a slot is used and then never another", setup_old, .threads = {use_up, pin_old},
     .check = check_retired},
    {"walk", "A walk sees what stays, once, while others come and go", setup_two, .threads = {replace, walk_for_one},
     .check = check_and_end},
    {"walk_fresh", "A walk that sees a new slot sees its segment", setup_two, .threads = {register_third, walk_for_one},
     .check = check_and_end},
    {"fresh_race", "Two who make the first segment at once make one, and a walk that sees their slots sees it", NULL,
     .threads = {register_first, register_third, walk_any}, .check = check_and_end, .bound = 2, .random_runs = 2000},
    {"replace_shown", "The next object is found by the next id, with its pins apart", setup_one,
     .threads = {replace, pin_and_use, pin_and_use}, .check = check_and_end, .bound = 2, .random_runs = 2000},
};

static const struct model broken[] = {
    {"unpin_then_use_swapped", "Who unpins and then uses touches freed memory", setup_one, .threads = {use_and_end, unpin_then_use},
     .check = check_and_end},
    {"end_then_use_swapped", "Who ends and then uses races with the last pin", setup_one, .threads = {end_then_use, pin_and_use},
     .check = check_and_end},
    {"look_then_pin_swapped", "A look and then a pin, without another look, gets the wrong object", setup_one,
     .threads = {replace, look_then_pin}, .check = check_and_end},
};

static const struct model_equivalent equivalent[] = {
    {"slots.c:take_back:cas_seq_cst>failure_relaxed", "what a failed attempt reads is compared, and nothing behind it is touched"},
    {"slots.c:page_unpin:cas_acq_rel>failure_relaxed",
     "what a failed attempt reads is counted down from, and nothing behind it is touched"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"lib/lockfree/slots.c", "slots_free.h:slots_fresh", "slots_free.h:slots_page", "slots_free.c:segment_ensure",
                 "slots_free.c:block_fresh"},
        .equivalent = equivalent,
    };
    return model_main(&suite, argc, argv);
}
