/*
 * Models of the injector and its trylock: pushers, takers, and loops that announce that they sleep and then look whether it is empty.
 */
#include "lib/lockfree/injector.h"

#include "tests/model/checker.h"

enum { WORKS = 3 };

struct payload {
    struct weft_work work; /* first */
    unsigned value;        /* plain: written before the push */
    unsigned taken;
};

static struct injector injector;
static struct payload works[WORKS];
static uint32_t is_idle; /* atomic: somebody sleeps, as crew.idle says it */
static struct model_token token;

static bool push(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        works[i].value = i + 1;
        works[i].work.next = i + 1 < first + count ? &works[i + 1].work : NULL;
    }
    return injector_push(&injector, &works[first].work, &works[first + count - 1].work);
}

/* Each work comes once; works[1] never before works[0]. */
static void receive(struct weft_work_list *list)
{
    struct weft_work *work;
    while ((work = weft_work_list_pop(list)) != NULL) {
        struct payload *payload = weft_container_of(work, struct payload, work);
        MODEL_CHECK(payload->value == (unsigned)(payload - works) + 1);
        MODEL_CHECK(payload->taken++ == 0);
    }
}

static unsigned take(unsigned max)
{
    struct weft_work_list list = {NULL, NULL, 0};
    size_t count = injector_take(&injector, max, &list);
    MODEL_CHECK(count == list.count && count <= max);
    receive(&list);
    return (unsigned)count;
}

static void setup(void)
{
    injector_init(&injector);
}

static void setup_two(void)
{
    injector_init(&injector);
    MODEL_CHECK(push(0, 2));
}

/* Look for sleepers after the works are there: the injector's side is seq_cst for that. */
static void wake_idle(void)
{
    if (weft_atomic_load_seq_cst(&is_idle) != 0)
        model_signal(&token);
}

static void push_one(void)
{
    MODEL_CHECK(push(2, 1));
    wake_idle();
}

static void push_chain(void)
{
    MODEL_CHECK(push(0, 2));
    wake_idle();
}

/* Takes until it has `count`, or all that is to come; sleeps when there is nothing. */
static void take_or_sleep(unsigned count)
{
    for (unsigned got = 0; got < count;) {
        unsigned now = take(2);
        got += now;
        if (now > 0)
            continue;
        (void)weft_atomic_exchange_seq_cst(&is_idle, 1);
        if (injector_is_empty(&injector))
            model_wait(&token);
        else
            weft_atomic_pause();
        weft_atomic_store_relaxed(&is_idle, 0);
    }
}

static void sleep_for_one(void)
{
    take_or_sleep(1);
}

static void sleep_for_three(void)
{
    take_or_sleep(3);
}

/* One of two: then another is woken for what is left, unless somebody was quicker. */
static void take_one_and_tell(void)
{
    if (take(1) == 1 && !injector_is_empty(&injector))
        wake_idle();
}

static void take_once(void)
{
    (void)take(2);
}

static void take_each(void)
{
    (void)take(1);
    (void)take(1);
}

static void take_rest(void)
{
    while (take(2) > 0)
        continue;
}

/* What nobody took is still there, whole. */
static void check_all_taken_once(void)
{
    MODEL_CHECK(weft_atomic_load_relaxed(&injector.list_count) == injector.list.count);
    take_rest();
    MODEL_CHECK(injector_is_empty(&injector) && injector_count_hint(&injector) == 0);
    for (unsigned i = 0; i < WORKS; i++)
        MODEL_CHECK(works[i].taken == (works[i].value != 0));
}

/* ---- closing ------------------------------------------------------------------------------------------------------------------------ */

static bool was_refused[WORKS];

static void push_late_chain(void)
{
    was_refused[0] = was_refused[1] = !push(0, 2);
    MODEL_CHECK(!was_refused[0] || (works[0].work.next == &works[1].work && works[1].work.next == NULL));
}

static void push_late(void)
{
    was_refused[2] = !push(2, 1);
}

static void take_and_close(void)
{
    struct weft_work_list list = {NULL, NULL, 0};
    (void)take(1);
    injector_close(&injector, &list);
    receive(&list);
}

static void check_closed(void)
{
    MODEL_CHECK(injector_is_empty(&injector));
    for (unsigned i = 0; i < WORKS; i++)
        MODEL_CHECK(works[i].taken == !was_refused[i]);
}

/* ---- swapped ------------------------------------------------------------------------------------------------------------------------ */

static void look_then_announce(void)
{
    if (take(2) > 0)
        return;
    bool is_empty = injector_is_empty(&injector);
    (void)weft_atomic_exchange_seq_cst(&is_idle, 1);
    if (is_empty)
        model_wait(&token);
}

static void wake_then_push(void)
{
    wake_idle();
    MODEL_CHECK(push(2, 1));
}

/* Lets the lock go before it is done with the list. */
static void take_unlocked(void)
{
    struct weft_work_list list = {NULL, NULL, 0};
    if (!trylock_take(&injector.lock))
        return;
    trylock_leave(&injector.lock);
    struct weft_work *work = weft_work_list_pop(&injector.list);
    if (work != NULL)
        weft_work_list_push(&list, work);
    receive(&list);
}

static void setup_listed(void)
{
    setup_two();
    MODEL_CHECK(push(2, 1));
    MODEL_CHECK(take(1) == 1);
}

static const struct model models[] = {
    {"push_sleep", "A push is seen by who announced that he sleeps, or the pusher sees him", setup, .threads = {push_one, sleep_for_one}},
    {"push_sleep_three", "The same with two pushers, of which one pushes a chain", setup,
     .threads = {push_one, push_chain, sleep_for_three}, .check = check_all_taken_once},
    {"leave_sleep", "What a taker leaves is seen by who sleeps, or the taker sees him", setup_two,
     .threads = {take_one_and_tell, sleep_for_one}, .check = check_all_taken_once},
    {"leave_listed", "The same when it lies in the list already", setup_listed, .threads = {take_one_and_tell, sleep_for_one},
     .check = check_all_taken_once},
    {"takers", "Takers that share a pusher's works get each once", setup, .threads = {push_one, take_each, take_once},
     .check = check_all_taken_once},
    {"takers_of_a_list", "Takers of a list that is there get each work once", setup_listed, .threads = {take_once, take_each, take_once},
     .check = check_all_taken_once},
    {"close", "Each push is delivered or refused", setup, .threads = {push_late_chain, push_late, take_and_close}, .check = check_closed},
};

static const struct model broken[] = {
    {"look_then_announce_swapped", "Who looks and then announces that he sleeps is not woken", setup,
     .threads = {push_one, look_then_announce}},
    {"wake_then_push_swapped", "Who looks for sleepers and then pushes wakes nobody", setup, .threads = {wake_then_push, sleep_for_one}},
    {"leave_then_pop_swapped", "Who lets the lock go and then pops races", setup_listed, .threads = {take_unlocked, take_each}},
};

static const struct model_equivalent equivalent[] = {
    {"trylock.h:trylock_leave:store_release>late",
     "the lock is held for a step more, as by a slower holder: nobody waits for it, and what its holder does next takes no second lock"},
    {"injector.c:injector_push:cas_seq_cst>failure_relaxed",
     "what a failed attempt reads is compared and linked to, and nothing behind it is touched; a refused push promises nothing"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"lib/lockfree/injector", "lib/lockfree/trylock"},
        .equivalent = equivalent,
    };
    return model_main(&suite, argc, argv);
}
