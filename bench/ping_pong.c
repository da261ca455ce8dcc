/*
 * What does it cost to go to another task and back: on the same loop, on another that is awake, and on another that sleeps?
 *
 * Two tasks in turn complete the future that the other one waits for, and make a new one for themselves. `one_loop`: both on one. `awake`:
 * on two loops, which look for up to 50 µs before they sleep. `parked`: on two which sleep at once. `…_fiber` is the same of tasks with a
 * stack of their own, `…_call` of callbacks that are posted, without tasks and futures. Per round trip. Two loops have a processor each: on
 * one they would take turns, which is another question.
 */
#include <pthread.h>

#include "bench/kit/tasks.h"
#include "lib/base/cpu.h"

enum { TRIPS_ONE_LOOP = 500000, TRIPS_AWAKE = 65000, TRIPS_PARKED = 13000, QUICK = 50, SPIN_NS = 50000 };

struct game {
    weft_fiber_fn *fiber; /* NULL: steps */
    int trips;
    int64_t spin_ns; /* below 0: none */
};

/* The future that each side waits for. Its side makes it, on its loop; who completes the other's before has seen to it that it is read after. */
static struct weft_future *balls[2];
static struct weft_loop *loops[2];
static const struct kit *kit_of_game;

static void ball_renew(int side)
{
    weft_future_unref(balls[side]);
    kit_must(kit_of_game, weft_loop_create_future(loops[side], &balls[side]), "a future");
}

static void ball_hit(int side)
{
    kit_must(kit_of_game, weft_future_set_result(balls[side], NULL), "a result");
}

/* Side 0 hits first, and is hit last. */
struct player {
    int side;
    int left;
    bool is_waiting;
};

static int step_plays(struct weft_step *step, void *state, int status)
{
    struct player *player = state;
    if (status < 0)
        return status;
    if (player->is_waiting)
        ball_renew(player->side);
    if (player->is_waiting && player->side == 1)
        ball_hit(0);
    player->is_waiting = true;
    if (player->left-- == 0)
        return weft_step_return(step, NULL);
    if (player->side == 0)
        ball_hit(1);
    return weft_step_await(step, balls[player->side], 0);
}

static int fiber_plays(void *arg, void **result_out)
{
    const struct player *player = arg;
    (void)result_out;
    for (int left = player->left; left > 0; left--) {
        if (player->side == 0)
            ball_hit(1);
        kit_must(kit_of_game, weft_await(balls[player->side], NULL), "a ball");
        ball_renew(player->side);
        if (player->side == 1)
            ball_hit(0);
    }
    return 0;
}

static struct weft_task *start_player(const struct kit *kit, struct player *player)
{
    const struct game *game = kit->arg;
    void *state = NULL;
    struct weft_task *task;
    struct weft_coro *coro =
        game->fiber != NULL ? tasks_fiber(kit, game->fiber, player) : tasks_step(kit, step_plays, sizeof(struct player), &state);
    if (state != NULL)
        *(struct player *)state = *player;
    kit_must(kit, weft_loop_create_task_threadsafe(loops[player->side], coro, NULL, &task), "a player");
    return task;
}

static void play(struct kit *kit, int trips)
{
    struct player players[2] = {{.side = 0, .left = trips}, {.side = 1, .left = trips}};
    ball_renew(0);
    ball_renew(1);
    struct weft_task *second = start_player(kit, &players[1]), *first = start_player(kit, &players[0]);
    tasks_finish(kit, first);
    tasks_finish(kit, second);
    for (int side = 0; side < 2; side++) {
        weft_future_unref(balls[side]);
        balls[side] = NULL;
    }
}

/* ---- callbacks ---- */

static struct weft_future *calls_done;
static int calls_left;

/* Only the loop that has been called touches what is shared; the posts order it. */
static int called(void *arg)
{
    bool is_home = arg == &loops[0];
    if (is_home && --calls_left == 0)
        return weft_future_set_result(calls_done, NULL);
    struct weft_loop **next = is_home ? &loops[1] : &loops[0];
    return weft_loop_call_soon_threadsafe(*next, called, next, NULL, NULL);
}

static void call_to_and_fro(struct kit *kit, int trips)
{
    calls_left = trips;
    kit_must(kit, weft_loop_create_future(loops[0], &calls_done), "a future");
    kit_must(kit, weft_loop_call_soon_threadsafe(loops[1], called, &loops[1], NULL, NULL), "a call");
    kit_must(kit, weft_await(calls_done, NULL), "the calls");
    weft_future_unref(calls_done);
}

/* ---- the cases ---- */

/* The main loop runs in this thread; the runtime binds the other's. */
static void find_loops(const struct kit *kit)
{
    struct weft_runtime *runtime = weft_runtime_of(weft_get_running_loop());
    for (uint32_t side = 0; side < 2; side++)
        loops[side] = weft_runtime_loop(runtime, side % kit->loops);
    if (kit->loops == 1)
        return;
    kit_check(kit, cpu_allowed(0) != cpu_allowed(1), "two processors are needed");
    kit_must(kit, cpu_bind(pthread_self(), cpu_allowed(0)), "a processor");
}

static void measure_by(struct kit *kit, void (*go)(struct kit *kit, int trips))
{
    int trips = ((const struct game *)kit->arg)->trips / (kit->is_quick ? QUICK : 1);
    kit_of_game = kit;
    find_loops(kit);
    go(kit, trips / 8);
    kit_start(kit);
    go(kit, trips);
    (kit->loops > 1 ? kit_stop : kit_stop_alone)(kit, "ns", trips);
}

static void measure_play(struct kit *kit)
{
    measure_by(kit, play);
}

static void measure_calls(struct kit *kit)
{
    measure_by(kit, call_to_and_fro);
}

static void run(struct kit *kit, void (*body)(struct kit *kit))
{
    struct weft_runtime_options options = WEFT_RUNTIME_OPTIONS;
    options.spin_max_ns = ((const struct game *)kit->arg)->spin_ns;
    options.flags = WEFT_RUNTIME_PIN_THREADS;
    tasks_within(kit, &options, body);
}

static void run_play(struct kit *kit)
{
    run(kit, measure_play);
}

static void run_calls(struct kit *kit)
{
    run(kit, measure_calls);
}

int main(int argc, char **argv)
{
    static const struct game one_loop = {NULL, TRIPS_ONE_LOOP, -1}, one_loop_fiber = {fiber_plays, TRIPS_ONE_LOOP, -1};
    static const struct game awake = {NULL, TRIPS_AWAKE, SPIN_NS}, awake_fiber = {fiber_plays, TRIPS_AWAKE, SPIN_NS};
    static const struct game parked = {NULL, TRIPS_PARKED, -1}, parked_fiber = {fiber_plays, TRIPS_PARKED, -1};
    static const struct kit_case cases[] = {
        {"ping_pong", "one_loop", run_play, &one_loop, 1},
        {"ping_pong", "one_loop_fiber", run_play, &one_loop_fiber, 1},
        {"ping_pong", "awake", run_play, &awake, 2},
        {"ping_pong", "awake_fiber", run_play, &awake_fiber, 2},
        {"ping_pong", "awake_call", run_calls, &awake, 2},
        {"ping_pong", "parked", run_play, &parked, 2},
        {"ping_pong", "parked_fiber", run_play, &parked_fiber, 2},
        {"ping_pong", "parked_call", run_calls, &parked, 2},
    };
    return kit_main(argc, argv, "weft", cases, sizeof(cases) / sizeof(cases[0]));
}
