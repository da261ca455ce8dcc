/*
 * Models of a fiber that is unwound while a job of it is stolen: it does not return into its frame before the child has done with that,
 * which it waits for while the child's loop runs, and sees to itself once that was left.
 */
#include "lib/task/task.h"
#include "tests/model/job_scene.h"

static struct {
    unsigned begun, ended;
} frame; /* plain: the owner's, which the child uses */

static bool has_ended; /* the owner's frame is gone */

static void leaf_rest(void)
{
    MODEL_CHECK(!has_ended && frame.begun == 1 && frame.ended == 0);
    frame.ended = 1;
}

/* Suspends in the middle. */
static int leaf_suspending(void *arg)
{
    (void)arg;
    frame.begun++;
    job_suspend(leaf_rest);
    return 0;
}

/* Or comes to its end, as it does where it is not stolen. */
static int leaf_either(void *arg)
{
    if (model_thread() >= 2 && /* a thief's */ model_choose(2) == 1)
        return leaf_suspending(arg);
    frame.begun++;
    leaf_rest();
    return 0;
}

static void setup(void)
{
    job_setup();
    loops[0].is_entered = true; /* as it closes */
    loops[1].is_entered = true;
}

static struct weft_fork open_fork;

/* Forks, and its loop closes. */
static void fork_and_close(weft_job_fn *fn)
{
    job_enter(0);
    job_fiber_here(true);
    MODEL_CHECK(weft_fork(&open_fork, fn, NULL) == 0);
    job_spin(false);
    job_unwind();
}

static void end_frame(void)
{
    has_ended = true;
    MODEL_CHECK(frame.begun == frame.ended);
}

static void owner(void)
{
    fork_and_close(leaf_either);
    MODEL_CHECK(weft_join(&open_fork) == 0);
    end_frame();
    job_end();
}

static void setup_three(void)
{
    job_loop_count = 3;
    setup();
    loops[2].is_entered = true;
}

static void thief(void)
{
    job_enter(1);
    (void)job_thieve();
    job_leave(1);
}

static void thief_2(void)
{
    job_enter(2);
    (void)job_thieve_from(0, 2);
    job_leave(2);
}

static void check(void)
{
    MODEL_CHECK(has_ended);
    job_check();
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Leaves its loop as it goes to the child for the last time. */
static void thief_swapped(void)
{
    job_leave(1);
    job_enter(1);
    (void)job_thieve();
}

/* Ends the child where it stands, without asking whether its loop runs. */
static void owner_swapped(void)
{
    fork_and_close(leaf_suspending);
    if (job_stack_public_count(&job_owner()->stack) > 0)
        return;
    struct weft_task *child;
    while ((child = weft_atomic_load_acquire(&job_owner()->stack.slots[0].child)) == NULL)
        weft_atomic_pause();
    task_finish(child, &loops[0], fiber_finish);
}

static const struct model models[] = {
    {
        .name = "unwound",
        .about = "A fiber is unwound as its job is stolen, suspends or ends elsewhere, and the loop there is left.",
        .setup = setup,
        .threads = {owner, thief},
        .check = check,
        .bound = 3,
    },
    {
        .name = "unwound_from_two",
        .about = "The same with two who are after the job: one of them has it, and the other one's loop does not matter.",
        .setup = setup_three,
        .threads = {owner, thief, thief_2},
        .check = check,
        .bound = 2,
        .random_runs = 1000,
    },
};

static const struct model broken[] = {
    {
        .name = "left_swapped",
        .about = "A loop that says that it was left before it is done with the child.",
        .setup = setup,
        .threads = {owner, thief_swapped},
        .may_leak = true,
        .bound = 3,
    },
    {
        .name = "finish_swapped",
        .about = "An owner that ends the child before its loop has let go of it.",
        .setup = setup,
        .threads = {owner_swapped, thief},
        .may_leak = true,
        .bound = 3,
    },
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .owns = {"job.c:child_end"},
        .broken = broken,
        .broken_count = sizeof(broken) / sizeof(broken[0]),
    };
    return model_main(&suite, argc, argv);
}
