/*
 * What does a post to another loop cost?
 *
 * `producers_<n>`: so many threads outside of the runtime queue callbacks on one loop, which has the thread of its own that a runtime gives it;
 * `wakeups` is how many of the posts had to wake it. Each post hands over an item that the library makes and frees: a peer without such a call
 * does it with its users' own queue and a wake-up. `work` is one thread that posts memory of its own, at the library's own door, and wakes at most
 * once for all that are not yet taken: a peer does it with a wake-up that coalesces.
 * `queue_only` is the queue alone, in one thread: a push, with its part of a take of 256, and as further figures the other operations that it has.
 */
#include "bench/kit/posters.h"
#include "lib/lockfree/inbox.h"
#include "lib/loop/loop.h"
#include "weft/runtime.h"

static struct weft_loop *loop;
static const struct kit *kit_of_posts;

static int take(void *arg)
{
    (void)arg;
    posters_took(1);
    return 0;
}

static void post_call(void *arg, int poster, int number)
{
    (void)poster, (void)number;
    kit_must(kit_of_posts, weft_loop_call_soon_threadsafe(arg, take, NULL, NULL, NULL), "a post");
}

static int take_work(struct weft_work *work)
{
    (void)work;
    posters_took(1);
    return 0;
}

static void post_work(void *arg, int poster, int number)
{
    static struct weft_work posts[POSTERS_POSTS]; /* of one thread */
    (void)poster;
    posts[number].run = take_work;
    work_ready(&((struct weft_loop *)arg)->worker, &posts[number]);
}

struct posting {
    int threads;
    posters_post_fn *post;
};

static uint64_t count_wakes(const struct kit *kit)
{
    struct weft_loop_counters counters;
    kit_must(kit, weft_loop_get_counters(loop, &counters), "counters");
    return counters.wakes;
}

static void run_producers(struct kit *kit)
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    const struct posting *posting = kit->arg;
    struct weft_runtime *runtime;
    kit_of_posts = kit;
    options.loops = 1;
    kit_must(kit, weft_runtime_create(&options, &runtime), "a runtime");
    kit_must(kit, weft_runtime_start(runtime), "its start");
    loop = weft_runtime_loop(runtime, 0);
    uint64_t wakes = count_wakes(kit);
    double posts = posters_measure(kit, posting->threads, posting->post, loop);
    kit_figure(kit, "wakeups", "per post", (double)(count_wakes(kit) - wakes) / (2 * posts)); /* the first half warmed up */
    weft_runtime_destroy(runtime);
}

/* ---- the queue ---- */

enum { BATCH = 256, ROUNDS = 1 << 12, QUICK = 16 };

static struct inbox inbox;
static struct weft_work works[BATCH];

/* A take of all of them turns their list around. */
static void push_batch(void)
{
    for (int i = 0; i < BATCH; i++)
        inbox_push(&inbox, &works[i], &works[i]);
    inbox_take(&inbox);
}

static void push_and_take(void)
{
    for (int i = 0; i < BATCH; i++) {
        inbox_push(&inbox, &works[0], &works[0]);
        inbox_take(&inbox);
    }
}

static void reserve_push_and_take(void)
{
    for (int i = 0; i < BATCH; i++) {
        if (inbox_reserve(&inbox, 1, BATCH))
            inbox_push(&inbox, &works[0], &works[0]);
        inbox_unreserve(&inbox, inbox_take(&inbox).count);
    }
}

/* What a loop pays each turn for looking. */
static void look(void)
{
    for (int i = 0; i < BATCH; i++) {
        size_t count = inbox_take(&inbox).count;
        __asm__ __volatile__("" : "+r"(count) : : "memory");
    }
}

static void park_and_unpark(void)
{
    for (int i = 0; i < BATCH; i++) {
        inbox_park(&inbox);
        inbox_unpark(&inbox);
    }
}

/* Each of the operations of `batch`. */
static double time_of(const struct kit *kit, void (*batch)(void))
{
    int rounds = kit->is_quick ? ROUNDS / QUICK : ROUNDS;
    inbox_init(&inbox);
    uint64_t start_ns = kit_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < rounds; i++)
        batch();
    return (double)(kit_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns) / (double)rounds / BATCH;
}

static void run_queue_only(struct kit *kit)
{
    (void)time_of(kit, push_batch); /* warm up */
    kit_figure(kit, NULL, "ns", time_of(kit, push_batch));
    kit_figure(kit, "push_take", "ns", time_of(kit, push_and_take));
    kit_figure(kit, "reserve_push_take", "ns", time_of(kit, reserve_push_and_take));
    kit_figure(kit, "look", "ns", time_of(kit, look));
    kit_figure(kit, "park_unpark", "ns", time_of(kit, park_and_unpark));
}

int main(int argc, char **argv)
{
    static const struct posting calls[] = {{1, post_call}, {2, post_call}, {3, post_call}, {4, post_call}}, work = {1, post_work};
    static const struct kit_case cases[] = {
        {"post", "producers_1", run_producers, &calls[0], 1},
        {"post", "producers_2", run_producers, &calls[1], 1},
        {"post", "producers_3", run_producers, &calls[2], 1},
        {"post", "producers_4", run_producers, &calls[3], 1},
        {"post", "work", run_producers, &work, 1},
        {"post", "queue_only", run_queue_only, NULL, 1},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
