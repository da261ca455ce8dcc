/*
 * Models of a crew's end: a pusher from outside may have pushed the very work that ends it, and whoever leaves last frees it.
 */
#include "tests/model/crew_scene.h"

static void setup(void)
{
    make_crew(2, 1, NULL);
}

static void setup_two(void)
{
    make_crew(2, 2, NULL);
}

static void push_0(void)
{
    MODEL_CHECK(crew_push(crew, task_make(0)));
}

static void push_1(void)
{
    MODEL_CHECK(crew_push(crew, task_make(1)));
}

static bool has_run_all(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < task_count; i++)
        count += tasks[i].run_count;
    return count == task_count;
}

/* Runs what works there are, of which the last one ends it all. */
static void ender_0(void)
{
    worker_set_current(&workers[0]);
    while (!has_run_all()) {
        doze(&workers[0], false);
        run_found(&workers[0]);
    }
    worker_set_current(NULL);
    crew_dissolve(crew);
    worker_fini(&workers[0]);
    worker_fini(&workers[1]);
    crew_unref(crew);
}

/* Comes before the end, or too late. */
static void push_late(unsigned index)
{
    if (!crew_push(crew, task_make(index)))
        (void)tasks[index].work.run(&tasks[index].work);
}

static void late_pusher(void)
{
    push_late(0);
}

static void late_pusher_1(void)
{
    push_late(1);
}

static void dissolver(void)
{
    crew_dissolve(crew);
}

static void check_ran(void)
{
    for (unsigned i = 0; i < task_count; i++)
        MODEL_CHECK(tasks[i].run_count == 1);
    worker_fini(&workers[0]);
    worker_fini(&workers[1]);
    crew_unref(crew);
}

static void setup_unref(void)
{
    make_crew(2, 0, NULL);
    crew_unref(crew);
}

static void setup_unref_three(void)
{
    make_crew(3, 0, NULL);
    crew_unref(crew);
}

static void leave_crew(unsigned index)
{
    MODEL_CHECK(workers[index].crew->count >= 2);
    worker_fini(&workers[index]);
}

static void leaver_0(void)
{
    leave_crew(0);
}

static void leaver_1(void)
{
    leave_crew(1);
}

static void leaver_2(void)
{
    leave_crew(2);
}

/* Tells that it is done before it looks who is parked. */
static void pusher_swapped(void)
{
    (void)weft_atomic_add_relaxed(&crew->injector.visitors, 1);
    (void)injector_push(&crew->injector, task_make(0), &tasks[0].work);
    (void)weft_atomic_sub_release(&crew->injector.visitors, 1);
    crew_notify(crew);
}

static const struct model models[] = {
    {
        .name = "push_end",
        .about = "The work that is pushed ends the crew, which stays until its pusher is done with it.",
        .setup = setup,
        .threads = {push_0, ender_0},
    },
    {
        .name = "push_dissolve",
        .about = "Who comes too late keeps his work, and the crew that is dissolved runs the others.",
        .setup = setup,
        .threads = {late_pusher, dissolver},
        .check = check_ran,
    },
    {
        .name = "unref",
        .about = "The last one to leave frees the crew, and the others are done with it.",
        .setup = setup_unref,
        .threads = {leaver_0, leaver_1},
    },
    {
        .name = "two_push_end",
        .about = "Of two pushers either one's work may be the last; the crew stays until both are done with it.",
        .setup = setup_two,
        .threads = {push_0, push_1, ender_0},
        .bound = 2,
        .random_runs = 1000,
    },
    {
        .name = "two_push_dissolve",
        .about = "Of two who come near the end each keeps his work or has it run, whatever becomes of the other's.",
        .setup = setup_two,
        .threads = {late_pusher, late_pusher_1, dissolver},
        .check = check_ran,
    },
    {
        .name = "unref_three",
        .about = "The same with three, of which the one in the middle hands on what the first has done.",
        .setup = setup_unref_three,
        .threads = {leaver_0, leaver_1, leaver_2},
    },
};

static const struct model broken[] = {
    {
        .name = "push_end_swapped",
        .about = "A pusher that says that it is done before it has notified touches a crew that is gone.",
        .setup = setup,
        .threads = {pusher_swapped, ender_0},
    },
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {
        .models = models,
        .model_count = sizeof(models) / sizeof(models[0]),
        .owns = {"crew.c:crew_unref", "crew.c:await_visitors", "crew.c:crew_push", "crew.c:crew_dissolve"},
        .broken = broken,
        .broken_count = 1};
    return model_main(&suite, argc, argv);
}
