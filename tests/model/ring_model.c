/*
 * Models of the ring, with four slots or two and counters that are about to wrap: one owner, thieves, and a ring that is stolen from by
 * others while it is filled by a theft.
 */
#include "lib/lockfree/ring.h"

#include "tests/model/checker.h"

enum { WORKS = 5 + RING_CAPACITY, RINGS = 4 };

struct payload {
    struct weft_work work; /* first */
    unsigned value;        /* plain: written before the push */
    unsigned taken;
};

static struct ring rings[RINGS]; /* the owner's, and those of two thieves */
static struct payload works[WORKS];
static unsigned pushed;
static uint32_t is_idle; /* atomic: somebody sleeps, as crew.idle says it */
static struct model_token token;

static void setup(void)
{
    for (unsigned i = 0; i < RINGS; i++)
        ring_init(&rings[i], UINT64_MAX - i); /* wraps with the first push, or the second */
}

static bool push(struct ring *ring, unsigned index)
{
    works[index].value = index + 1;
    if (!ring_push(ring, &works[index].work))
        return false;
    pushed++;
    return true;
}

/* Each work comes once. */
static void receive(struct weft_work *work)
{
    struct payload *payload = weft_container_of(work, struct payload, work);
    MODEL_CHECK(payload->value == (unsigned)(payload - works) + 1);
    MODEL_CHECK(payload->taken++ == 0);
}

static unsigned pop(struct ring *ring)
{
    struct weft_work *work = ring_pop(ring);
    if (work == NULL)
        return 0;
    receive(work);
    return 1;
}

static unsigned pop_all(struct ring *ring)
{
    unsigned count = 0;
    while (pop(ring) > 0)
        count++;
    return count;
}

static void setup_some(void)
{
    setup();
    for (unsigned i = 0; i < 3 && i < RING_CAPACITY; i++)
        MODEL_CHECK(push(&rings[0], i));
}

static void setup_full(void)
{
    setup();
    for (unsigned i = 0; i < RING_CAPACITY; i++)
        MODEL_CHECK(push(&rings[0], i));
}

/* Nothing is lost: what nobody popped lies in one of the rings. */
static void check_all(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < RINGS; i++)
        (void)pop_all(&rings[i]);
    for (unsigned i = 0; i < WORKS; i++)
        count += works[i].taken;
    MODEL_CHECK(count == pushed);
    for (unsigned i = 0; i < RINGS; i++)
        MODEL_CHECK(ring_count(&rings[i]) == 0 && ring_room(&rings[i]) == RING_CAPACITY);
}

/* ---- owner and thieves -------------------------------------------------------------------------------------------------------------- */

static void push_two(void)
{
    (void)push(&rings[0], 0);
    (void)push(&rings[0], 1);
}

static void push_and_pop(void)
{
    (void)push(&rings[0], 4);
    (void)pop(&rings[0]);
}

/* What does not fit goes elsewhere, with the older half. */
static void push_into_full(void)
{
    struct weft_work_list list = {NULL, NULL, 0};
    struct weft_work *work;
    if (push(&rings[0], RING_CAPACITY))
        return;
    size_t count = ring_take_half(&rings[0], &list);
    MODEL_CHECK(count == list.count);
    while ((work = weft_work_list_pop(&list)) != NULL)
        receive(work);
    MODEL_CHECK(push(&rings[0], RING_CAPACITY));
}

static void pop_two(void)
{
    (void)pop(&rings[0]);
    (void)pop(&rings[0]);
}

static unsigned steal(unsigned victim, unsigned own)
{
    size_t count = ring_steal(&rings[victim], &rings[own]);
    MODEL_CHECK(count <= RING_CAPACITY);
    return (unsigned)count;
}

static void steal_and_pop(void)
{
    if (steal(0, 1) > 0)
        (void)pop(&rings[1]);
}

static void steal_into_one(void)
{
    (void)steal(0, 1);
}

static void steal_into_two(void)
{
    (void)steal(0, 2);
}

static void steal_twice(void)
{
    (void)ring_steal(&rings[0], &rings[1]);
    (void)ring_steal(&rings[0], &rings[1]);
}

/* From a ring that a theft fills at the same time. */
static void steal_from_thief(void)
{
    (void)steal(1, 2);
}

static void steal_back(void)
{
    (void)steal(0, 3);
}

static void setup_crowd(void)
{
    setup_some();
    for (unsigned i = 0; i + 1 < RING_CAPACITY; i++)
        MODEL_CHECK(push(&rings[3], 5 + i));
}

/* The owner takes back from the thief of its thief: round in a circle. */
static void steal_from_second(void)
{
    (void)steal(2, 0);
}

static void count(void)
{
    MODEL_CHECK(ring_count(&rings[1]) <= RING_CAPACITY);
}

/* ---- sleeping ----------------------------------------------------------------------------------------------------------------------- */

static void push_and_wake(void)
{
    MODEL_CHECK(push(&rings[0], 0));
    if (weft_atomic_load_seq_cst(&is_idle) != 0)
        model_signal(&token);
}

static void sleep_and_steal(void)
{
    while (ring_steal(&rings[0], &rings[1]) == 0) {
        (void)weft_atomic_exchange_seq_cst(&is_idle, 1);
        if (ring_count(&rings[0]) == 0)
            model_wait(&token);
        weft_atomic_store_relaxed(&is_idle, 0);
    }
    MODEL_CHECK(pop(&rings[1]) == 1);
}

/* ---- swapped ------------------------------------------------------------------------------------------------------------------------ */

static void look_then_announce(void)
{
    bool is_empty = ring_count(&rings[0]) == 0;
    (void)weft_atomic_exchange_seq_cst(&is_idle, 1);
    if (is_empty)
        model_wait(&token);
}

static void wake_then_push(void)
{
    if (weft_atomic_load_seq_cst(&is_idle) != 0)
        model_signal(&token);
    MODEL_CHECK(push(&rings[0], 0));
}

/* Moves the head and copies the slot then: the owner may have written over it. */
static void take_then_copy(void)
{
    uint64_t head = weft_atomic_load_acquire(&rings[0].head);
    if (weft_atomic_load_acquire(&rings[0].tail) == head)
        return;
    if (weft_atomic_cas_acq_rel(&rings[0].head, &head, head + 1))
        receive(weft_atomic_load_relaxed(&rings[0].slots[head % RING_CAPACITY]));
}

/* Moves the tail and writes the slot then. */
static void publish_then_write(void)
{
    uint64_t tail = weft_atomic_load_relaxed(&rings[0].tail);
    works[0].value = 1;
    weft_atomic_store_release(&rings[0].tail, tail + 1);
    weft_atomic_store_relaxed(&rings[0].slots[tail % RING_CAPACITY], &works[0].work);
}

static void fail_on_nothing(void)
{
    uint64_t head = weft_atomic_load_acquire(&rings[0].head);
    if (weft_atomic_load_acquire(&rings[0].tail) != head)
        MODEL_CHECK(weft_atomic_load_relaxed(&rings[0].slots[head % RING_CAPACITY]) != NULL);
}

static const struct model models[] = {
    {"push_steal", "What is pushed is stolen or stays, once, with what its pusher wrote", setup, .threads = {push_two, steal_and_pop},
     .check = check_all},
    {"pop_steal", "An owner that pops and a thief that takes half share out what is there", setup_some,
     .threads = {pop_two, steal_into_one}, .check = check_all},
    {"full", "An owner that finds its ring full takes half away, while a thief steals from it", setup_full,
     .threads = {push_into_full, steal_into_one}, .check = check_all},
    {"steal_from_thief", "A ring is stolen from while a theft fills it", setup_some, .threads = {steal_into_one, steal_from_thief},
     .check = check_all},
    {"steal_twice", "What one theft has published the next one of the same thief does not write over", setup_some,
     .threads = {steal_twice, steal_from_thief}, .check = check_all},
    {"count", "A count is never below zero, though the tail was moved by another than the head", setup_some,
     .threads = {steal_into_one, steal_from_thief, count}, .check = check_all},
    {"push_sleep", "A push is seen by who announced that he sleeps, or the pusher sees him", setup,
     .threads = {push_and_wake, sleep_and_steal}},
    {"two_thieves", "Two thieves and an owner that pushes and pops take no work twice", setup_some,
     .threads = {push_and_pop, steal_into_one, steal_into_two}, .check = check_all},
    {"full_and_thieves", "The same with two thieves", setup_full, .threads = {push_into_full, steal_into_one, steal_into_two},
     .check = check_all},
    {"three_thieves", "The same with three thieves, of which one steals from another and one has a ring without room", setup_crowd,
     .threads = {push_and_pop, steal_into_one, steal_from_thief, steal_back}, .check = check_all},
    {"circle", "Owner and thieves steal from each other round in a circle, and push, and pop", setup_some,
     .threads = {steal_and_pop, steal_from_thief, steal_from_second}, .check = check_all},
};

static const struct model broken[] = {
    {"look_then_announce_swapped", "Who looks and then announces that he sleeps is not woken", setup,
     .threads = {push_and_wake, look_then_announce}},
    {"wake_then_push_swapped", "Who looks for sleepers and then pushes wakes nobody", setup, .threads = {wake_then_push, sleep_and_steal}},
    {"take_then_copy_swapped", "A slot that is read after the head has moved is another's", setup_full,
     .threads = {take_then_copy, push_into_full}, .check = check_all},
    {"publish_then_write_swapped", "A slot that is written after the tail has moved is read too early", setup,
     .threads = {publish_then_write, fail_on_nothing}},
};

static const struct model_equivalent equivalent[] = {
    {"ring.c:room:load_acquire>relaxed",
     "C11 needs it: it forbids that a thief's load of a slot returns what the owner stores there only once he has seen that thief move the "
     "head on, which is load buffering. The checker does not explore that (a load never returns what is stored later in the run), so no "
     "model can kill it; no processor does it either, as the store hangs on the load by a condition. It stays an acquire"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"lib/lockfree/ring"},
        .equivalent = equivalent,
    };
    return model_main(&suite, argc, argv);
}
