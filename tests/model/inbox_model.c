/*
 * Models of the inbox: one consumer that sleeps, and all that may wake it. A sleep is a token. Flags
 * beside it are in inbox_flag_model.c.
 */
#include "lib/lockfree/inbox.h"

#include "tests/model/checker.h"

enum { WORKS = 3 };

struct payload {
    struct weft_work work; /* first */
    unsigned value;        /* plain: written before the push */
    unsigned taken;
};

static struct inbox inbox;
static struct payload works[WORKS];
static struct model_token token;
static unsigned left_behind; /* plain: by the consumer before it parks or closes */

static void setup(void)
{
    inbox_init(&inbox);
}

/* Push works[first … first + count - 1] as one chain. */
static enum inbox_push_result push(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        works[i].value = i + 1;
        works[i].work.next = i + 1 < first + count ? &works[i + 1].work : NULL;
    }
    return inbox_push(&inbox, &works[first].work, &works[first + count - 1].work);
}

/* Each work comes once, with what its pusher wrote; works[i] before works[i + 1] if `is_ordered`. */
static unsigned receive(struct inbox_batch batch)
{
    unsigned count = 0;
    for (struct weft_work *work = batch.first; work != NULL; work = work->next) {
        struct payload *payload = weft_container_of(work, struct payload, work);
        MODEL_CHECK(payload->value == (unsigned)(payload - works) + 1);
        MODEL_CHECK(payload->taken++ == 0);
        MODEL_CHECK(payload != &works[1] || works[0].taken == 1);
        count++;
    }
    MODEL_CHECK(count == batch.count && (batch.last == NULL) == (count == 0));
    return count;
}

/* ---- works wake a sleeper ----------------------------------------------------------------------------------------------------------- */

static void push_and_wake(unsigned first, unsigned count)
{
    enum inbox_push_result result = push(first, count);
    MODEL_CHECK(result != INBOX_CLOSED);
    if (result == INBOX_PUSHED_WAKE) {
        MODEL_CHECK(left_behind == 1);
        model_signal(&token);
    }
}

static void push_chain(void)
{
    push_and_wake(0, 2);
}

static void push_two(void)
{
    push_and_wake(0, 1);
    push_and_wake(1, 1);
}

static void push_third(void)
{
    push_and_wake(2, 1);
}

static void consume(unsigned count)
{
    bool parks_first = true;
    for (unsigned got = 0; got < count;) {
        unsigned now = receive(inbox_take(&inbox));
        got += now;
        if (now > 0)
            continue;
        if (parks_first)
            left_behind = 1; /* plain, and once: who finds PARKED reads it */
        parks_first = false;
        if (inbox_park(&inbox)) {
            model_wait(&token);
            (void)inbox_unpark(&inbox);
        }
    }
}

static void consume_two(void)
{
    consume(2);
}

static void consume_three(void)
{
    consume(3);
}

static void check_consumed(void)
{
    MODEL_CHECK(inbox_is_empty(&inbox));
}

/* ---- closing ------------------------------------------------------------------------------------------------------------------------ */

static bool was_refused[WORKS];

static void push_or_be_refused(unsigned first, unsigned count)
{
    was_refused[first] = push(first, count) == INBOX_CLOSED;
    if (!was_refused[first])
        return;
    MODEL_CHECK(left_behind == 1);
    MODEL_CHECK(works[first + count - 1].work.next == NULL && works[first].work.next == (count == 2 ? &works[first + 1].work : NULL));
}

static void push_late_chain(void)
{
    push_or_be_refused(0, 2);
}

static void push_late(void)
{
    push_or_be_refused(2, 1);
}

static void take_and_close(void)
{
    (void)receive(inbox_take(&inbox));
    left_behind = 1;
    (void)receive(inbox_close(&inbox));
    MODEL_CHECK(inbox_close(&inbox).count == 0);
}

static void check_closed(void)
{
    static const unsigned chain_of[WORKS] = {0, 0, 2};
    for (unsigned i = 0; i < WORKS; i++)
        MODEL_CHECK(works[i].taken == !was_refused[chain_of[i]]);
}

/* ---- admission ---------------------------------------------------------------------------------------------------------------------- */

static uint32_t admitted;

static void reserve_one(void)
{
    if (!inbox_reserve(&inbox, 1, 1))
        return;
    MODEL_CHECK(weft_atomic_add_relaxed(&admitted, 1) == 0);
    (void)weft_atomic_sub_relaxed(&admitted, 1);
    inbox_unreserve(&inbox, 1);
}

static void check_reserved(void)
{
    MODEL_CHECK(weft_atomic_load_relaxed(&inbox.reserved) == 0);
}

/* ---- swapped: each of these must be found out ---------------------------------------------------------------------------------------- */

/* Sleeps though its park has failed. */
static void park_carelessly(void)
{
    if (receive(inbox_take(&inbox)) == 0) {
        left_behind = 1;
        (void)inbox_park(&inbox);
        model_wait(&token);
    }
}

/* Takes, then closes by a store: a push in between is lost. */
static void take_then_shut(void)
{
    left_behind = 1;
    (void)receive(inbox_take(&inbox));
    weft_atomic_store_release(&inbox.head, INBOX_HEAD_CLOSED);
}

static const struct model models[] = {
    {"post", "Works of two producers reach a consumer that sleeps in between, in order and once", setup,
     .threads = {push_chain, push_third, consume_three}, .check = check_consumed},
    {"post_in_turn", "Works pushed one by one are taken in that order, and each wake-up that is owed comes", setup,
     .threads = {push_two, consume_two}, .check = check_consumed},
    {"close", "Each push is delivered or refused, and who is refused sees what the consumer did", setup,
     .threads = {push_late_chain, push_late, take_and_close}, .check = check_closed},
    {"reserve", "Never are more admitted than there are places", setup, .threads = {reserve_one, reserve_one, reserve_one},
     .check = check_reserved},
};

static const struct model broken[] = {
    {"park_carelessly", "A failed park is no leave to sleep", setup, .threads = {push_third, park_carelessly}},
    {"take_then_close_swapped", "Taking and closing in two steps loses a push", setup,
     .threads = {push_late_chain, push_late, take_then_shut}, .check = check_closed},
};

static const struct model_equivalent equivalent[] = {
    {"inbox.h:inbox_push:cas_acq_rel>failure_relaxed", "what a failed attempt reads is compared and linked to, and nothing behind it is "
                                                       "touched; who finds CLOSED acquires in inbox_is_closed()"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"inbox.h:inbox_push", "inbox.h:inbox_is_closed", "lib/lockfree/inbox.c"},
        .equivalent = equivalent,
    };
    return model_main(&suite, argc, argv);
}
