/*
 * The inbox under threads: no wake-up is lost (the consumer sleeps without a timeout, so that a lost one hangs), none is given twice,
 * every producer's order is kept, and a close leaves no post between delivered and refused.
 */
#include "lib/lockfree/inbox.h"

#include "tests/lockfree/threads.h"
#include "tests/support/test.h"

#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>

enum { PRODUCERS = 4, POSTS = 20000, CHAIN_MAX = 5 };

struct post {
    struct weft_work work;
    uint32_t producer;
    uint32_t sequence;
    uint32_t delivered;
    uint32_t refused;
};

struct producer {
    uint32_t number;
    uint32_t posts;
    int round;
    struct post *post;
};

static struct inbox inbox;
static sem_t woken;
static uint64_t wakes_owed;
static int closing_round; /* a plain word: the round that was about to be closed last */
static struct producer producers[PRODUCERS];

static void wake(void)
{
    weft_atomic_add_relaxed(&wakes_owed, 1);
    sem_post(&woken);
}

static void sleep_until_woken(void)
{
    while (sem_wait(&woken) != 0) {
    }
}

static void setup_posts(uint32_t count)
{
    inbox_init(&inbox);
    sem_init(&woken, 0, 0);
    wakes_owed = 0;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){i, count, 0, calloc(count, sizeof(struct post))};
        for (uint32_t j = 0; j < count; j++) {
            producers[i].post[j].producer = i;
            producers[i].post[j].sequence = j;
        }
    }
}

static void free_posts(void)
{
    for (uint32_t i = 0; i < PRODUCERS; i++)
        free(producers[i].post);
    sem_destroy(&woken);
}

/* Push all of a producer's posts in chains of random length; stops when one is refused and counts the rest as refused with it. */
static void *produce(void *arg)
{
    struct producer *producer = arg;
    uint64_t seed = producer->number + 1;
    for (uint32_t from = 0, to; from < producer->posts; from = to) {
        to = from + 1 + random_next(&seed) % CHAIN_MAX;
        to = to < producer->posts ? to : producer->posts;
        for (uint32_t i = from; i + 1 < to; i++)
            producer->post[i].work.next = &producer->post[i + 1].work;
        enum inbox_push_result result = inbox_push(&inbox, &producer->post[from].work, &producer->post[to - 1].work);
        if (result == INBOX_PUSHED_WAKE)
            wake();
        for (uint32_t i = from; result == INBOX_CLOSED && i < to; i++) {
            producer->post[i].refused++;
            CHECK_EQ(producer->round, closing_round);
        }
        if (random_next(&seed) % 16 == 0)
            sched_yield();
    }
    return NULL;
}

/* Deliver a batch: each producer's posts come in order, each once. */
static uint32_t deliver(struct inbox_batch batch, uint32_t next_sequence[PRODUCERS])
{
    uint32_t count = 0;
    for (struct weft_work *work = batch.first; work != NULL; work = work->next, count++) {
        struct post *post = weft_container_of(work, struct post, work);
        CHECK_EQ(post->sequence, next_sequence[post->producer]++);
        CHECK_EQ(post->delivered++, 0);
    }
    CHECK_EQ(count, batch.count);
    return count;
}

Test(inbox_stress, four_producers_lose_no_wake_and_keep_their_order, .timeout = 60)
{
    setup_posts(POSTS);
    struct threads threads = {.count = 0};
    for (int i = 0; i < PRODUCERS; i++)
        threads_start(&threads, produce, &producers[i]);
    uint32_t next_sequence[PRODUCERS] = {0};
    uint64_t parks = 0, unparks = 0;
    for (uint32_t left = PRODUCERS * POSTS; left > 0;) {
        struct inbox_batch batch = inbox_take(&inbox);
        left -= deliver(batch, next_sequence);
        if (batch.count != 0 || left == 0 || !inbox_park(&inbox))
            continue;
        /* Every third time it wakes by itself, and learns whether a wake-up is on its way all the same. */
        if (++parks % 3 == 0 && inbox_unpark(&inbox)) {
            unparks++;
            continue;
        }
        sleep_until_woken();
        CHECK(!inbox_unpark(&inbox));
    }
    threads_join(&threads);
    CHECK_EQ(wakes_owed + unparks, parks);
    CHECK(sem_trywait(&woken) != 0);
    free_posts();
}

static uint64_t flag, poked, seen, poker_note;

/* Raise the flag a round at a time; only the poke can wake the consumer for it. The note is a plain word. */
static void *poke_rounds(void *arg)
{
    for (uint64_t round = 1; round <= *(uint64_t *)arg; round++) {
        poker_note = round;
        weft_atomic_store_relaxed(&flag, round);
        if (inbox_poke(&inbox))
            wake();
        /* Pairs with the acquire in see_flag(): no poke of this round meets the next one's park. */
        weft_atomic_store_release(&poked, round);
        /* Pairs with the release in see_flag(): the note has been read. */
        for (int i = 0; weft_atomic_load_acquire(&seen) != round; i++)
            if (i % 64 == 63)
                sched_yield();
    }
    return NULL;
}

/* If the flag is up, answer it, once its poke is over. */
static bool see_flag(void)
{
    uint64_t now = weft_atomic_load_relaxed(&flag);
    if (now == seen)
        return false;
    /* Pairs with the release in poke_rounds(). */
    while (weft_atomic_load_acquire(&poked) != now)
        sched_yield();
    /* Pairs with the acquire in poke_rounds(). */
    weft_atomic_store_release(&seen, now);
    return true;
}

/* Park, look at the flag, sleep if it is down: what is between the three must not let the poke through. */
static void park_unless_flag(void)
{
    CHECK(inbox_park(&inbox));
    bool is_raised = weft_atomic_load_relaxed(&flag) != seen;
    if (is_raised && inbox_unpark(&inbox))
        return;
    if (is_raised)
        CHECK_EQ(poker_note, seen + 1); /* ordered by the poke that the unpark met, not yet by the semaphore */
    sleep_until_woken();
    CHECK(!inbox_unpark(&inbox));
}

Test(inbox_stress, poke_never_falls_between_park_and_the_look_at_the_flag, .timeout = 60)
{
    setup_posts(1);
    uint64_t rounds = 50000, seed = 11;
    flag = poked = seen = 0;
    struct threads threads = {.count = 0};
    threads_start(&threads, poke_rounds, &rounds);
    while (seen < rounds) {
        if (see_flag())
            continue;
        for (uint32_t i = random_next(&seed) % 64; i > 0; i--)
            weft_atomic_pause();
        park_unless_flag();
    }
    threads_join(&threads);
    CHECK(sem_trywait(&woken) != 0);
    free_posts();
}

static uint64_t parked_note, notes_read;

/* Posts single works, and reads what the parked consumer left: plain accesses, ordered by the inbox alone. */
static void *post_and_read_note(void *arg)
{
    struct producer *producer = arg;
    uint64_t last = 0;
    for (uint32_t i = 0; i < producer->posts; i++) {
        if (inbox_push(&inbox, &producer->post[i].work, &producer->post[i].work) == INBOX_PUSHED_WAKE) {
            CHECK(parked_note > last);
            last = parked_note;
            notes_read++;
            wake();
        }
    }
    return NULL;
}

Test(inbox_stress, waker_sees_what_the_consumer_did_before_it_parked, .timeout = 60)
{
    setup_posts(POSTS);
    struct threads threads = {.count = 0};
    parked_note = notes_read = 0;
    threads_start(&threads, post_and_read_note, &producers[0]);
    uint32_t next_sequence[PRODUCERS] = {0};
    for (uint32_t left = POSTS; left > 0;) {
        struct inbox_batch batch = inbox_take(&inbox);
        left -= deliver(batch, next_sequence);
        if (batch.count != 0 || left == 0 || !inbox_is_empty(&inbox))
            continue;
        parked_note++;
        if (inbox_park(&inbox)) {
            sleep_until_woken();
            CHECK(!inbox_unpark(&inbox));
        }
    }
    threads_join(&threads);
    CHECK_EQ(notes_read, wakes_owed);
    free_posts();
}

static pthread_barrier_t start;

static void *produce_from_start(void *arg)
{
    pthread_barrier_wait(&start);
    return produce(arg);
}

Test(inbox_stress, close_leaves_each_post_delivered_or_refused_once, .timeout = 60)
{
    enum { ROUNDS = 150, POSTS_EACH = 64 };
    uint64_t seed = 7, delivered = 0, refused = 0;
    for (int round = 1; round <= ROUNDS; round++) {
        setup_posts(POSTS_EACH);
        pthread_barrier_init(&start, NULL, PRODUCERS + 1);
        struct threads threads = {.count = 0};
        for (int i = 0; i < PRODUCERS; i++) {
            producers[i].round = round;
            threads_start(&threads, produce_from_start, &producers[i]);
        }
        uint32_t next_sequence[PRODUCERS] = {0};
        uint32_t enough = random_next(&seed) % (PRODUCERS * POSTS_EACH), count = 0;
        pthread_barrier_wait(&start);
        while (count < enough)
            count += deliver(inbox_take(&inbox), next_sequence);
        closing_round = round;
        deliver(inbox_close(&inbox), next_sequence);
        threads_join(&threads);
        CHECK(inbox_is_empty(&inbox));
        for (int i = 0; i < PRODUCERS * POSTS_EACH; i++) {
            struct post *post = &producers[i / POSTS_EACH].post[i % POSTS_EACH];
            CHECK_EQ(post->delivered + post->refused, 1);
            delivered += post->delivered;
            refused += post->refused;
        }
        pthread_barrier_destroy(&start);
        free_posts();
    }
    CHECK(delivered > 0);
    CHECK(refused > 0);
}

enum { LIMIT = 3 };

static uint64_t admitted;

static void *reserve_and_give_back(void *arg)
{
    (void)arg;
    for (int i = 0; i < POSTS; i++) {
        if (inbox_reserve(&inbox, 1, LIMIT)) {
            CHECK(weft_atomic_add_relaxed(&admitted, 1) < LIMIT);
            weft_atomic_sub_relaxed(&admitted, 1);
            inbox_unreserve(&inbox, 1);
        }
    }
    return NULL;
}

Test(inbox_stress, admits_never_more_than_the_limit, .timeout = 60)
{
    inbox_init(&inbox);
    struct threads threads = {.count = 0};
    for (int i = 0; i < PRODUCERS; i++)
        threads_start(&threads, reserve_and_give_back, NULL);
    threads_join(&threads);
    CHECK_EQ(inbox.reserved, 0);
}
