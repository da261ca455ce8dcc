/*
 * Models of the parker: an owner that sleeps on a futex, which may also wake for no reason, and those that give it tokens.
 */
#include "lib/base/parker.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "lib/base/clock.h"
#include "tests/model/checker.h"
#include "weft/atomic.h"
#include "weft/memory.h"

static struct parker parker;
static unsigned given[3]; /* plain: written before the token of each giver */
static uint32_t is_done;  /* atomic, relaxed: the token orders it */

static void setup(void)
{
    parker_init(&parker);
}

/* ---- a token carries what was done before it ----------------------------------------------------------------------------------------- */

static void give(void)
{
    given[0] = 1;
    parker_unpark(&parker);
}

static void await_token(void)
{
    MODEL_CHECK(parker_park(&parker, CLOCK_NEVER_NS) == 0);
    MODEL_CHECK(given[0] == 1);
}

/* A deadline may pass at any moment; a token that came is had now or the next time. */
static void await_with_deadline(void)
{
    uint64_t deadline_ns = clock_monotonic_ns() + 1;
    int status = parker_park(&parker, deadline_ns);
    MODEL_CHECK(status == 0 || (status == -ETIMEDOUT && clock_monotonic_ns() >= deadline_ns));
    if (status < 0)
        MODEL_CHECK(parker_park(&parker, CLOCK_NEVER_NS) == 0);
    MODEL_CHECK(given[0] == 1);
}

/* A deadline in the past only looks. */
static void look_and_await(void)
{
    if (parker_park(&parker, 0) < 0)
        MODEL_CHECK(parker_park(&parker, CLOCK_NEVER_NS) == 0);
    MODEL_CHECK(given[0] == 1);
}

/* ---- the usual waiter ---------------------------------------------------------------------------------------------------------------- */

static void finish(unsigned giver)
{
    given[giver] = 1;
    (void)weft_atomic_add_relaxed(&is_done, 1);
    parker_unpark(&parker);
}

static void finish_one(void)
{
    finish(0);
}

static void finish_two(void)
{
    finish(1);
}

static void finish_three(void)
{
    finish(2);
}

/* Gives a token for nothing. */
static void disturb(void)
{
    parker_unpark(&parker);
    parker_unpark(&parker);
}

static void await_all(uint32_t count)
{
    while (weft_atomic_load_relaxed(&is_done) < count)
        MODEL_CHECK(parker_park(&parker, CLOCK_NEVER_NS) == 0);
}

static void await_one(void)
{
    await_all(1);
}

static void await_two(void)
{
    await_all(2);
}

static void await_three(void)
{
    await_all(3);
}

/* The unparks are over: the last token may be left, and says no more than that. */
static void check_token(void)
{
    int status = parker_park(&parker, 0);
    MODEL_CHECK(status == 0 || status == -ETIMEDOUT);
    MODEL_CHECK(parker_park(&parker, 0) == -ETIMEDOUT);
}

/* ---- the parker goes with its owner --------------------------------------------------------------------------------------------------- */

static struct parker *own;

static void setup_own(void)
{
    own = weft_malloc(sizeof(*own));
    parker_init(own);
}

static void give_own(void)
{
    parker_unpark(own);
}

static void await_and_free(void)
{
    MODEL_CHECK(parker_park(own, CLOCK_NEVER_NS) == 0);
    weft_free(own);
}

/* ---- swapped ------------------------------------------------------------------------------------------------------------------------- */

static void unpark_then_finish(void)
{
    parker_unpark(&parker);
    (void)weft_atomic_add_relaxed(&is_done, 1);
}

/* Believes the futex and not the word. */
static void sleep_carelessly(void)
{
    uint32_t state = 0;
    if (weft_atomic_cas_relaxed(&parker.state, &state, 1))
        (void)syscall(SYS_futex, &parker.state, FUTEX_WAIT_BITSET, 1, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
    MODEL_CHECK(given[0] == 1);
}

/* Looks whether the owner sleeps, and then puts the token: he falls asleep in between. */
static void look_then_give(void)
{
    uint32_t state = weft_atomic_load_relaxed(&parker.state);
    weft_atomic_store_release(&parker.state, 2);
    if (state == 1)
        (void)syscall(SYS_futex, &parker.state, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await_blindly(void)
{
    MODEL_CHECK(parker_park(&parker, CLOCK_NEVER_NS) == 0);
}

/* Touches the word once more after the token is there. */
static void give_and_look(void)
{
    parker_unpark(own);
    (void)weft_atomic_load_relaxed(&own->state);
}

static const struct model models[] = {
    {"token", "Who takes the token sees what its giver did, whether he slept or not", setup, .threads = {give, await_token}},
    {"deadline", "A deadline loses no token", setup, .threads = {give, await_with_deadline}},
    {"look", "A deadline in the past takes a token that is there", setup, .threads = {give, look_and_await}},
    {"free", "The owner may free the parker as soon as it has the token", setup_own, .threads = {give_own, await_and_free}},
    {"waiter", "A waiter that looks for what it waits for is woken for it, disturbed or not", setup,
     .threads = {finish_one, disturb, await_one}, .check = check_token},
    {"two_givers", "Tokens of two that come together are one, and nothing of what they tell is lost", setup,
     .threads = {finish_one, finish_two, await_two}, .check = check_token},
    {"three_givers", "The same with three", setup, .threads = {finish_one, finish_two, finish_three, await_three}, .check = check_token,
     .bound = 2, .random_runs = 5000},
};

static const struct model broken[] = {
    {"unpark_then_finish_swapped", "A token before what it is for wakes nobody for that", setup,
     .threads = {unpark_then_finish, await_one}},
    {"look_then_give_swapped", "Who looks and then gives may miss a sleeper", setup, .threads = {look_then_give, await_blindly}},
    {"sleep_carelessly", "A futex that returns is no token", setup, .threads = {give, sleep_carelessly}},
    {"give_and_look", "A giver that touches the word again touches freed memory", setup_own, .threads = {give_and_look, await_and_free}},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
        .owns = {"lib/base/parker"},
    };
    return model_main(&suite, argc, argv);
}
