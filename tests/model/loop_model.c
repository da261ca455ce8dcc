/*
 * Models of a loop's own words: who may enter it, how it is stopped and closed, what hangs in its rooms, and its last reference.
 *
 * All of lib/loop and lib/sched is real, on the poller of scene.h. Two or three threads have one loop between them.
 */
#include "lib/loop/loop.h"

#include "tests/model/checker.h"
#include "tests/model/scene.h"
#include "weft/memory.h"
#include "weft/status.h"

static struct weft_loop *loop;

static void setup(void)
{
    loop = scene_loop();
}

static void close_it(void)
{
    scene_loop_end(loop);
}

/* ---- entering ----------------------------------------------------------------------------------------------------------------------- */

static unsigned turn_count; /* plain: whoever is in the loop is alone in it */

static int count_turn(void *arg)
{
    (void)arg;
    turn_count++;
    return 0;
}

/* Schedules and runs, as whoever has entered may. */
static void turn_once(void)
{
    int status = loop_enter(loop);
    MODEL_CHECK(status == 0 || status == WEFT_ERUNNING || status == WEFT_ECLOSED);
    if (status < 0)
        return;
    MODEL_CHECK(weft_loop_call_soon(loop, count_turn, NULL, NULL, NULL) == 0);
    MODEL_CHECK(loop_turn(loop, false) == 0);
    turn_count++;
    loop_leave(loop);
}

static void check_turns(void)
{
    MODEL_CHECK(turn_count >= 2 && turn_count % 2 == 0);
    close_it();
}

static void close_once(void)
{
    int status = weft_loop_close(loop);
    MODEL_CHECK(status == 0 || status == WEFT_ERUNNING);
}

static struct model_token told;

static void turn_and_tell(void)
{
    turn_once();
    model_signal(&told);
}

/* Whoever is told that a run is over may enter. */
static void turn_when_told(void)
{
    model_wait(&told);
    unsigned before = turn_count;
    turn_once();
    MODEL_CHECK(turn_count == before + 2);
}

static unsigned last_words; /* plain */

static void close_with_words(void)
{
    last_words = 1;
    MODEL_CHECK(weft_loop_close(loop) == 0);
}

static void ask_if_closed(void)
{
    MODEL_CHECK(!weft_loop_is_closed(loop) || last_words == 1);
}

static void post_and_ask(void)
{
    if (weft_loop_call_soon_threadsafe(loop, count_turn, NULL, NULL, NULL) == WEFT_ECLOSED)
        MODEL_CHECK(last_words == 1);
}

static void check_nothing(void)
{
    MODEL_CHECK(turn_count == 0);
    weft_loop_unref(loop);
}

/* ---- stopping ----------------------------------------------------------------------------------------------------------------------- */

static void run_until_stopped(void)
{
    MODEL_CHECK(weft_loop_run_forever(loop) == 0);
}

static void run_twice(void)
{
    run_until_stopped();
    run_until_stopped();
}

static void stop(void)
{
    MODEL_CHECK(weft_loop_stop(loop) == 0);
}

static void stop_twice(void)
{
    stop();
    while (weft_atomic_load_relaxed(&loop->is_stop_posted) != 0)
        weft_atomic_pause();
    stop();
}

/* ---- posting ------------------------------------------------------------------------------------------------------------------------ */

static unsigned called[2];
static int post_status[2];
static bool was_cancelled;

static int called_back(void *arg)
{
    ++*(unsigned *)arg;
    return 0;
}

static void post_and_cancel(void)
{
    struct weft_handle *handle;
    post_status[0] = weft_loop_call_soon_threadsafe(loop, called_back, &called[0], NULL, &handle);
    if (post_status[0] < 0)
        return;
    was_cancelled = weft_handle_cancel(handle);
    weft_handle_unref(handle);
}

static void post(void)
{
    post_status[1] = weft_loop_call_soon_threadsafe(loop, called_back, &called[1], NULL, NULL);
}

static void post_and_stop(void)
{
    post();
    stop();
}

static void check_posts(void)
{
    MODEL_CHECK(post_status[1] == 0 && called[1] == 1); /* before the stop */
    MODEL_CHECK(called[0] + was_cancelled <= 1);
    close_it();
}

/* The one that closes has the reference; posts are let go, at once or by the close. */
static void check_closed(void)
{
    MODEL_CHECK(called[0] == 0 && called[1] == 0);
    MODEL_CHECK(post_status[0] == 0 || post_status[0] == WEFT_ECLOSED);
    weft_loop_unref(loop);
}

/* ---- rooms -------------------------------------------------------------------------------------------------------------------------- */

struct room {
    struct loop_room_state state; /* first */
    unsigned content;
};

static unsigned fini_count;

static void room_fini(struct weft_loop *of, struct loop_room_state *state)
{
    (void)of;
    fini_count++;
    MODEL_CHECK(((struct room *)state)->content == 1);
    weft_free(state);
}

/* As task_room() does: the first one stays. */
static void use_room(void)
{
    struct loop_room_state *state = loop_room(loop, LOOP_ROOM_NET);
    if (state == NULL) {
        struct room *room = weft_calloc(1, sizeof(*room));
        room->state.fini = room_fini;
        room->content = 1;
        if (!loop_room_set(loop, LOOP_ROOM_NET, &room->state))
            weft_free(room);
        state = loop_room(loop, LOOP_ROOM_NET);
    }
    MODEL_CHECK(state == NULL || ((struct room *)state)->content == 1);
}

/* Hangs one in while the loop closes, and looks at it no more. */
static void hang_room(void)
{
    struct room *room = weft_calloc(1, sizeof(*room));
    room->state.fini = room_fini;
    room->content = 1;
    if (!loop_room_set(loop, LOOP_ROOM_NET, &room->state))
        weft_free(room);
    weft_loop_unref(loop);
}

static void close_and_unref(void)
{
    scene_loop_end(loop);
}

static void two_refs(void)
{
    setup();
    weft_loop_ref(loop);
}

static void check_room(void)
{
    close_it();
    MODEL_CHECK(fini_count == 1);
}

static void check_one_fini(void)
{
    MODEL_CHECK(fini_count == 1 && loop_live_count() == 0);
}

/* ---- the last reference --------------------------------------------------------------------------------------------------------------- */

static void three_refs(void)
{
    setup();
    weft_loop_ref(weft_loop_ref(loop));
    MODEL_CHECK(weft_loop_close(loop) == 0);
}

/* Which of the loop's plain words it writes does not matter. */
static void write_and_unref_0(void)
{
    loop->slow_ns = 1;
    weft_loop_unref(loop);
}

static void write_and_unref_1(void)
{
    loop->spin_ns = 1;
    weft_loop_unref(loop);
}

static void write_and_unref_2(void)
{
    loop->spin_max_ns = 1;
    weft_loop_unref(loop);
}

static struct weft_loop *given; /* atomic; a reference */

/* Takes two references as the loop closes, which are counted where it is current, and gives one away. */
static void take_and_give(struct weft_loop *of, struct loop_room_state *state)
{
    (void)state;
    (void)weft_loop_ref(weft_loop_ref(of));
    of->slow_ns = 1;
    weft_loop_unref(of);
    weft_atomic_store_release(&given, of);
}

static void setup_giver(void)
{
    static struct loop_room_state state = {.close = take_and_give};
    setup();
    MODEL_CHECK(loop_room_set(loop, LOOP_ROOM_NET, &state));
}

static void drop_given(void)
{
    struct weft_loop *mine;
    while ((mine = weft_atomic_load_acquire(&given)) == NULL)
        weft_atomic_pause();
    mine->spin_ns = 1;
    weft_loop_unref(mine);
}

static void check_gone(void)
{
    MODEL_CHECK(loop_live_count() == 0);
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Hangs the room in before it is furnished. */
static void hang_empty_room(void)
{
    struct room *room = weft_calloc(1, sizeof(*room));
    room->state.fini = room_fini;
    if (loop_room_set(loop, LOOP_ROOM_NET, &room->state))
        room->content = 1;
    else
        weft_free(room);
}

/* Writes and posts the one work of all stops before it has asked whether it may. */
static void post_unasked(void)
{
    work_ready(&loop->worker, &loop->stop_work);
    (void)weft_atomic_exchange_acq_rel(&loop->is_stop_posted, 1);
}

static void stop_then_post_unasked(void)
{
    stop();
    post_unasked();
}

static const struct model models[] = {
    {.name = "enter",
     .about = "of two threads that enter one is in the loop at a time, and sees what the one before left",
     .setup = setup,
     .threads = {turn_once, turn_once},
     .check = check_turns},
    {.name = "enter_close",
     .about = "a thread that closes, and one that enters: whoever comes second finds the loop entered or closed",
     .setup = setup,
     .threads = {turn_once, close_once},
     .check = close_it},
    {.name = "leave",
     .about = "whoever is told that a run is over may enter",
     .setup = setup,
     .threads = {turn_and_tell, turn_when_told},
     .check = check_turns},
    {.name = "closed",
     .about = "whoever finds the loop closed, by asking or by posting, has seen what its closer did before",
     .setup = setup,
     .threads = {close_with_words, ask_if_closed, post_and_ask},
     .check = check_nothing},
    {.name = "close_close",
     .about = "of two threads that close one does",
     .setup = setup,
     .threads = {close_once, close_once},
     .check = close_it},
    {.name = "stop",
     .about = "a stop from elsewhere ends a run, which has run what was posted before it",
     .setup = setup,
     .threads = {run_until_stopped, post_and_stop, post_and_cancel},
     .check = check_posts,
     .bound = 2},
    {.name = "stop_again",
     .about = "the one work of all stops is posted again only when it has been run",
     .setup = setup,
     .threads = {run_twice, stop_twice},
     .check = close_it},
    {.name = "close_post",
     .about = "what is posted while the loop closes is let go and never called",
     .setup = two_refs,
     .threads = {close_and_unref, post, post_and_cancel},
     .check = check_closed,
     .bound = 2},
    {.name = "rooms",
     .about = "of two who hang a state into a room one stays, and both see all of it",
     .setup = setup,
     .threads = {use_room, use_room},
     .check = check_room},
    {.name = "room_close",
     .about = "a state that is hung in while the loop closes is finished, by the close or with the last reference",
     .setup = two_refs,
     .threads = {close_and_unref, hang_room},
     .check = check_one_fini},
    {.name = "refs",
     .about = "whoever drops the last of three references frees the loop, after all that the others did",
     .setup = three_refs,
     .threads = {write_and_unref_0, write_and_unref_1, write_and_unref_2},
     .check = check_gone},
    {.name = "refs_here",
     .about = "a reference that was counted where the loop is current, and is dropped elsewhere, does not free it before that has ended",
     .setup = setup_giver,
     .threads = {close_and_unref, drop_given},
     .check = check_gone},
};

static const struct model_equivalent equivalent[] = {
    {"loop.c:loop_claim_closing:store_release>late", "who misses the flag by one step meets the closed inbox, as who asked before it"},
    {"loop.c:loop_release:store_release>late",
     "who runs or closes it holds a reference until that returns, and who fails to enter meanwhile would have failed before"},
    {"turn.c:stop_posted:store_release>late", "a stop that comes in that gap finds is_stopping set: the run ends for it too"},
    {NULL, NULL},
};

static const struct model broken[] = {
    {.name = "room_swapped",
     .about = "a room that is hung in before it is furnished",
     .setup = setup,
     .threads = {hang_empty_room, use_room},
     .check = check_room},
    {.name = "stop_swapped",
     .about = "a stop that posts the one work before it has asked whether it is free",
     .setup = setup,
     .threads = {run_until_stopped, stop_then_post_unasked},
     .check = close_it},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/loop/loop", "lib/loop/turn.c", "lib/loop/handle.c"},
                                             .equivalent = equivalent};
    return model_main(&suite, argc, argv);
}
