/*
 * Models of flags beside the inbox: who sets one and pokes, or confirms that the consumer is parked, against the consumer that parks and
 * looks. Works and closing are in inbox_model.c.
 */
#include "lib/lockfree/inbox.h"

#include "tests/model/checker.h"

static struct inbox inbox;
static struct weft_work work;
static struct model_token token;
static unsigned left_behind; /* plain: by the consumer before it parks */
static uint32_t flag;        /* atomic, relaxed: the inbox orders it */
static bool was_confirmed, saw_flag;

static void setup(void)
{
    inbox_init(&inbox);
}

/* ---- flags outside: poke, confirm --------------------------------------------------------------------------------------------------- */

static void raise_and_poke(void)
{
    weft_atomic_store_relaxed(&flag, 1);
    if (inbox_poke(&inbox)) {
        MODEL_CHECK(left_behind == 1);
        model_signal(&token);
    }
}

static void push_unseen(void)
{
    if (inbox_push(&inbox, &work, &work) == INBOX_PUSHED_WAKE)
        model_signal(&token);
}

static bool sees_flag(void)
{
    return weft_atomic_load_relaxed(&flag) == 1;
}

/* Sleeps until the flag is up; each look at it follows a park. */
static void await_flag(void)
{
    left_behind = 1;
    bool is_up = false;
    while (!is_up) {
        (void)inbox_take(&inbox);
        if (!inbox_park(&inbox))
            continue;
        is_up = sees_flag();
        if (!is_up)
            model_wait(&token);
        (void)inbox_unpark(&inbox);
    }
}

/* Wakes by itself: if somebody has poked meanwhile, his flag is seen though his wake-up is still on its way. */
static void nap(void)
{
    left_behind = 1;
    if (!inbox_park(&inbox))
        return;
    if (sees_flag() || inbox_unpark(&inbox))
        return;
    MODEL_CHECK(sees_flag());
}

static void raise_and_confirm(void)
{
    weft_atomic_store_relaxed(&flag, 1);
    was_confirmed = inbox_confirm_parked(&inbox);
}

/* Another's poke, with nothing to say. */
static void poke(void)
{
    (void)inbox_poke(&inbox);
}

static void park_and_look(void)
{
    bool is_parked = inbox_park(&inbox);
    if (is_parked)
        (void)inbox_unpark(&inbox);
    saw_flag = sees_flag();
}

static void check_confirmed(void)
{
    MODEL_CHECK(!was_confirmed || saw_flag);
}

/* ---- swapped: each of these must be found out ---------------------------------------------------------------------------------------- */

/* Looks at the flag before it parks, and not after. */
static void look_and_park(void)
{
    while (!sees_flag()) {
        left_behind = 1;
        if (inbox_park(&inbox)) {
            model_wait(&token);
            (void)inbox_unpark(&inbox);
        }
    }
}

/* Pokes first, and raises the flag after it. */
static void poke_and_raise(void)
{
    if (inbox_poke(&inbox))
        model_signal(&token);
    weft_atomic_store_relaxed(&flag, 1);
}

/* Pokes by a look at the word, and writes it only if somebody is parked. */
static void raise_and_glance(void)
{
    weft_atomic_store_relaxed(&flag, 1);
    if (inbox_is_parked(&inbox) && inbox_poke(&inbox))
        model_signal(&token);
}

static const struct model models[] = {
    {"poke", "A flag that is raised before a poke is seen by who has parked, or wakes him", setup, .threads = {raise_and_poke, await_flag}},
    {"poke_and_push", "The same while others push", setup, .threads = {raise_and_poke, push_unseen, await_flag}},
    {"poke_nap", "Who wakes by himself, and was poked, sees the flag", setup, .threads = {raise_and_poke, nap}},
    {"confirm", "Who was confirmed to be parked sees the flag once he has unparked", setup, .threads = {raise_and_confirm, park_and_look},
     .check = check_confirmed},
    {"confirm_and_poke", "The same when another pokes in between", setup, .threads = {raise_and_confirm, poke, park_and_look},
     .check = check_confirmed},
};

static const struct model broken[] = {
    {"look_then_park_swapped", "A consumer that looks before it parks sleeps on", setup, .threads = {raise_and_poke, look_and_park}},
    {"poke_then_raise_swapped", "A poke before its flag wakes nobody for it", setup, .threads = {poke_and_raise, await_flag}},
    {"poke_glances", "A poke that only reads the word passes its flag", setup, .threads = {raise_and_glance, await_flag}},
};

#define A_NUMBER "what a failed attempt reads is compared and written back, and nothing behind it is touched"

static const struct model_equivalent equivalent[] = {
    {"inbox.h:inbox_poke:cas_acq_rel>failure_relaxed", A_NUMBER},
    {"inbox.h:inbox_park:cas_acq_rel>failure_relaxed",
     "who cannot park finds works, which inbox_take_all() acquires, or has closed the inbox himself"},
    {"inbox.h:inbox_unpark:cas_acq_rel>acquire",
     "nobody acquires what a consumer does between park and unpark: the waker gets what was before the park, and the exchange that writes "
     "EMPTY carries on the release of whoever wrote PARKED; it is acq_rel for its failure order alone"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"inbox.h:inbox_park", "inbox.h:inbox_unpark", "inbox.h:inbox_poke", "inbox.h:inbox_confirm_parked"},
        .equivalent = equivalent,
    };
    return model_main(&suite, argc, argv);
}
