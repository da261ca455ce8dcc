/*
 * libuv, two threads: posts, and two loops that sleep, by uv_async_t.
 *
 * uv_async_send() wakes, once for all that came before it was seen, but carries nothing: who posts has a queue of his own. `producers_<n>`
 * hands over items as libuv's users write it: an item, which names a function, is allocated, put behind the others under a mutex, taken,
 * called and freed. `work` is the least that is possible with libuv: memory of the poster's own, pushed by a compare-and-swap, and counted.
 */
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "bench/kit/bind.h"
#include "bench/kit/posters.h"

/* ---- post ---- */

static uv_async_t pushed, over;

/* The users' queue. */
struct item {
    struct item *next;
    void (*run)(void *arg);
    void *arg;
};

static uv_mutex_t mutex;
static struct item *first, **end = &first; /* under the mutex */

static void took_one(void *arg)
{
    (void)arg;
    posters_took(1);
}

static void post_item(void *arg, int poster, int number)
{
    struct item *item = malloc(sizeof(*item));
    (void)poster, (void)number;
    if (item == NULL)
        abort();
    *item = (struct item){NULL, took_one, arg};
    uv_mutex_lock(&mutex);
    *end = item;
    end = &item->next;
    uv_mutex_unlock(&mutex);
    uv_async_send(&pushed);
}

static void take_items(uv_async_t *async)
{
    (void)async;
    uv_mutex_lock(&mutex);
    struct item *item = first;
    first = NULL;
    end = &first;
    uv_mutex_unlock(&mutex);
    while (item != NULL) {
        struct item *next = item->next;
        item->run(item->arg);
        free(item);
        item = next;
    }
}

/* The least. */
struct node {
    struct node *next;
};

static struct node nodes[POSTERS_POSTS]; /* of one thread */
static struct node *newest;              /* atomic */

static void post_node(void *arg, int poster, int number)
{
    struct node *node = &nodes[number];
    (void)arg, (void)poster;
    node->next = __atomic_load_n(&newest, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&newest, &node->next, node, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) /* Pairs with take_nodes(). */
        continue;
    uv_async_send(&pushed);
}

static void take_nodes(uv_async_t *async)
{
    uint64_t count = 0;
    struct node *node = __atomic_exchange_n(&newest, NULL, __ATOMIC_ACQUIRE); /* Pairs with the release in post_node(). */
    (void)async;
    for (; node != NULL; node = node->next)
        count++;
    if (count > 0)
        posters_took(count);
}

static void stop(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void *run_loop(void *arg)
{
    uv_run(arg, UV_RUN_DEFAULT);
    return NULL;
}

struct posting {
    int threads;
    posters_post_fn *post;
    uv_async_cb take;
};

static void run_post(struct kit *kit)
{
    const struct posting *posting = kit->arg;
    uv_loop_t *loop = uv_default_loop();
    pthread_t thread;
    kit_must(kit, uv_mutex_init(&mutex), "a mutex");
    kit_must(kit, uv_async_init(loop, &pushed, posting->take), "an async");
    kit_must(kit, uv_async_init(loop, &over, stop), "an async");
    kit_must(kit, -pthread_create(&thread, NULL, run_loop, loop), "a thread");
    (void)posters_measure(kit, posting->threads, posting->post, NULL);
    uv_async_send(&over);
    pthread_join(thread, NULL);
}

/* ---- ping_pong ---- */

enum { TRIPS = 13000, TRIPS_QUICK = 260 };

static struct {
    uv_loop_t loop;
    uv_async_t hit;
} sides[2];

static struct kit *kit_of_game;
static int trips, left;

/* Side 1 ends when it has hit for the last time, side 0 when it was. */
static void is_hit(uv_async_t *async)
{
    int side = async == &sides[1].hit;
    if (side == 0 && --left == trips)
        kit_start(kit_of_game);
    if (side == 0 && left == 0)
        kit_stop(kit_of_game, "ns", trips);
    if (side == 0 && left == 0)
        uv_stop(&sides[0].loop);
    else
        uv_async_send(&sides[1 - side].hit);
}

static void *run_side_1(void *arg)
{
    bind_here(arg, 1);
    uv_run(&sides[1].loop, UV_RUN_DEFAULT);
    return NULL;
}

static void run_parked(struct kit *kit)
{
    uv_async_t end;
    pthread_t thread;
    kit_of_game = kit;
    trips = kit->is_quick ? TRIPS_QUICK : TRIPS;
    left = trips + trips / 8;
    for (int side = 0; side < 2; side++) {
        kit_must(kit, uv_loop_init(&sides[side].loop), "a loop");
        kit_must(kit, uv_async_init(&sides[side].loop, &sides[side].hit, is_hit), "an async");
    }
    kit_must(kit, uv_async_init(&sides[1].loop, &end, stop), "an async");
    kit_must(kit, -pthread_create(&thread, NULL, run_side_1, kit), "a thread");
    bind_here(kit, 0);
    uv_async_send(&sides[1].hit);
    uv_run(&sides[0].loop, UV_RUN_DEFAULT);
    uv_async_send(&end);
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    static const struct posting items[] = {
        {1, post_item, take_items}, {2, post_item, take_items}, {3, post_item, take_items}, {4, post_item, take_items}};
    static const struct posting work = {1, post_node, take_nodes};
    static const struct kit_case cases[] = {
        {"post", "producers_1", run_post, &items[0], 1},
        {"post", "producers_2", run_post, &items[1], 1},
        {"post", "producers_3", run_post, &items[2], 1},
        {"post", "producers_4", run_post, &items[3], 1},
        {"post", "work", run_post, &work, 1},
        {"ping_pong", "parked", run_parked, NULL, 2},
        {"ping_pong", "parked_call", run_parked, NULL, 2},
    };
    return kit_main(argc, argv, "libuv " LIBRARY_VERSION, cases, sizeof(cases) / sizeof(cases[0]));
}
