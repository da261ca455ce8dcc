/*
 * Models of a crew's end: a pusher from outside may have pushed the very work that ends it, and whoever leaves last frees it.
 */
#include "tests/model/crew_scene.h"

static void setup(void)
{
    make_crew(2, 1, NULL);
}

static void push_0(void)
{
    MODEL_CHECK(crew_push(crew, task_make(0)));
}

/* Runs the one work there is, which ends it all. */
static void ender_0(void)
{
    worker_set_current(&workers[0]);
    while (tasks[0].run_count == 0) {
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
static void late_pusher(void)
{
    if (!crew_push(crew, task_make(0)))
        (void)tasks[0].work.run(&tasks[0].work);
}

static void dissolver(void)
{
    crew_dissolve(crew);
}

static void check_ran(void)
{
    MODEL_CHECK(tasks[0].run_count == 1);
    worker_fini(&workers[0]);
    worker_fini(&workers[1]);
    crew_unref(crew);
}

static void setup_unref(void)
{
    make_crew(2, 0, NULL);
    crew_unref(crew);
}

static void leaver_0(void)
{
    MODEL_CHECK(workers[0].crew->count == 2);
    worker_fini(&workers[0]);
}

static void leaver_1(void)
{
    MODEL_CHECK(workers[1].crew->count == 2);
    worker_fini(&workers[1]);
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
