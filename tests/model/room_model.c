/*
 * Models of the job room: a stack that comes back from anywhere is whole when it is borrowed again, and its memory goes with the last one
 * who holds it or the room.
 */
#include "tests/model/job_scene.h"

static struct fiber_jobs *jobs;

/* One that is out, with a reference for each of two threads. */
static void setup(void)
{
    job_setup();
    job_enter(0);
    MODEL_CHECK(jobs_borrow(&loops[0], &jobs) == 0);
    jobs->refs = 2;
    worker_set_current(NULL);
}

static void setup_three(void)
{
    job_loop_count = 3;
    setup();
}

static void setup_one(void)
{
    setup();
    jobs->refs = 1;
}

static void borrower(void)
{
    struct fiber_jobs *next;
    job_enter(0);
    MODEL_CHECK(jobs_borrow(&loops[0], &next) == 0);
    MODEL_CHECK(next != jobs || next->looked_ticks == 7);
    jobs_unref(next);
}

static void holder_here(void)
{
    job_enter(0);
    MODEL_CHECK(jobs->slow_count == 0);
    jobs_unref(jobs);
    borrower();
}

static void holder_elsewhere(void)
{
    job_enter(1);
    jobs->looked_ticks = 7;
    jobs_unref(jobs);
}

static void holder_on_third(void)
{
    job_enter(2);
    jobs->slow_count = 7;
    jobs_unref(jobs);
}

/* Lets go of it before it is done with it. */
static void holder_swapped(void)
{
    job_enter(1);
    jobs_unref(jobs);
    jobs->looked_ticks = 7;
}

static void loop_closer(void)
{
    struct loop_room_state *state = loop_room(&loops[0], LOOP_ROOM_JOB);
    job_enter(0);
    weft_atomic_store_relaxed(&loops[0].rooms[LOOP_ROOM_JOB], (struct loop_room_state *)NULL);
    state->fini(&loops[0], state);
}

/* Its loop is gone, or not yet. */
static void check_gone(void)
{
    MODEL_CHECK(jobs_live_count() == 0);
    for (unsigned i = 1; i < job_loop_count; i++) {
        struct loop_room_state *state = loops[i].rooms[LOOP_ROOM_JOB];
        state->fini(&loops[i], state);
    }
    for (unsigned i = 0; i < job_loop_count; i++)
        worker_fini(&loops[i].worker);
    crew_unref(crew);
}

static const struct model models[] = {
    {
        .name = "return",
        .about = "A stack comes back from another loop while its own borrows.",
        .setup = setup_one,
        .threads = {borrower, holder_elsewhere},
        .check = job_check,
    },
    {
        .name = "unref",
        .about = "The fiber and the assist item let go at once: one of them gives it back, when both are done.",
        .setup = setup,
        .threads = {holder_here, holder_elsewhere},
        .check = job_check,
    },
    {
        .name = "loop_gone",
        .about = "The loop goes while a stack is out: the last one frees the room.",
        .setup = setup_one,
        .threads = {loop_closer, holder_elsewhere},
        .check = check_gone,
    },
    {
        .name = "return_of_two",
        .about = "Two on other loops let go while its own borrows: the later one of them gives it back.",
        .setup = setup_three,
        .threads = {borrower, holder_elsewhere, holder_on_third},
        .check = job_check,
    },
    {
        .name = "loop_gone_of_two",
        .about = "The loop goes while two others hold the stack: the last of the three frees it all.",
        .setup = setup_three,
        .threads = {loop_closer, holder_elsewhere, holder_on_third},
        .check = check_gone,
    },
};

static const struct model broken[] = {
    {
        .name = "return_swapped",
        .about = "Who gives a stack back before he is done with it writes into another fiber's.",
        .setup = setup_one,
        .threads = {borrower, holder_swapped},
        .may_leak = true,
    },
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .owns = {"lib/task/job_room."},
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
    };
    return model_main(&suite, argc, argv);
}
