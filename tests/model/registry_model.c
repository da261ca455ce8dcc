/*
 * Models of the registry as tasks use it: who registers, ends, looks and walks, and on which loop a task is current.
 *
 * lib/task/registry.c, task_base.c, future.c and the table of slots are real, the latter with segments and blocks of 2. Tasks are a third
 * party's, which may do all of this from any thread.
 */
#include <errno.h>

#include "lib/base/context.h"
#include "lib/task/task.h"
#include "tests/model/checker.h"
#include "weft/context.h"
#include "weft/memory.h"
#include "weft/status.h"

enum { LOOPS = 2 };

static struct weft_loop loops[LOOPS];
static _Thread_local struct weft_loop *running;

/* ---- doubles ------------------------------------------------------------------------------------------------------------------------ */

struct weft_loop *weft_get_running_loop(void)
{
    return running;
}

bool loop_is_here(const struct weft_loop *loop)
{
    return running == loop;
}

struct weft_loop *weft_loop_ref(struct weft_loop *loop)
{
    return loop;
}

void weft_loop_unref(struct weft_loop *loop)
{
    (void)loop;
}

void weft_loop_call_exception_handler(struct weft_loop *loop, const struct weft_exception *exception)
{
    (void)loop, (void)exception;
    model_fail("nothing is to be reported");
}

struct weft_context *context_swap_current(struct weft_context *context)
{
    return context;
}

struct weft_context *weft_context_current(void)
{
    return NULL;
}

struct weft_context *weft_context_ref(struct weft_context *context)
{
    return context;
}

void weft_context_unref(struct weft_context *context)
{
    (void)context;
}

void future_drop_callback(struct waiter *waiter)
{
    (void)waiter;
}

bool task_may_enter(const struct weft_task *task, const struct weft_loop *loop)
{
    (void)task, (void)loop;
    return true; /* not one of ours */
}

void work_ready_chain(struct worker *home, struct weft_work *first, struct weft_work *last, size_t count)
{
    (void)home, (void)first, (void)last, (void)count;
}

void work_ready_stealable(struct worker *home, struct weft_work *work)
{
    (void)home, (void)work;
}

int worker_run(struct worker *worker)
{
    (void)worker;
    return 0;
}

/* ---- tasks -------------------------------------------------------------------------------------------------------------------------- */

struct guest {
    struct weft_task task; /* first */
    unsigned content;      /* plain: whoever finds the task has been told of it */
};

static struct guest *guests[2];
static uint64_t first_id;
static uint32_t live_count; /* atomic: the table's segments stay, so the checker cannot tell whether a task does */

static void guest_destroy(struct weft_task *task)
{
    (void)weft_atomic_sub_relaxed(&live_count, 1);
    weft_free(task);
}

static void guest_make(unsigned index)
{
    static const struct weft_task_ops ops = {.size = sizeof(ops), .destroy = guest_destroy};
    guests[index] = weft_calloc(1, sizeof(*guests[index]));
    guests[index]->content = index + 1;
    (void)weft_atomic_add_relaxed(&live_count, 1);
    MODEL_CHECK(weft_task_init(&guests[index]->task, &loops[index], &ops, NULL) == 0);
}

static void setup_one(void)
{
    guest_make(0);
    MODEL_CHECK(weft_register_task(&guests[0]->task) == 0);
    first_id = guests[0]->task.id;
}

static void end_rooms(void)
{
    for (unsigned i = 0; i < LOOPS; i++)
        if (loops[i].rooms[LOOP_ROOM_TASK] != NULL)
            loops[i].rooms[LOOP_ROOM_TASK]->fini(&loops[i], loops[i].rooms[LOOP_ROOM_TASK]);
    MODEL_CHECK(registry_count() == 0 && live_count == 0);
}

/* Ends it: from here on it may be freed at any time. */
static void finish_first(void)
{
    MODEL_CHECK(weft_task_finish(&guests[0]->task, 0, NULL) == 0);
    weft_task_unref(&guests[0]->task);
}

static void come_and_go(void)
{
    running = &loops[1];
    guest_make(1);
    MODEL_CHECK(weft_register_task(&guests[1]->task) == 0);
    MODEL_CHECK(weft_task_finish(&guests[1]->task, 0, NULL) == 0);
    weft_task_unref(&guests[1]->task);
    running = NULL;
}

static void find_first(void)
{
    struct weft_task *task = weft_task_from_id(first_id);
    if (task == NULL)
        return;
    MODEL_CHECK(((struct guest *)task)->content == 1); /* never another one's */
    weft_task_unref(task);
}

static void walk(void)
{
    struct weft_task **tasks;
    size_t count;
    MODEL_CHECK(weft_all_tasks(NULL, &tasks, &count) == 0 && count <= 2);
    for (size_t i = 0; i < count; i++)
        MODEL_CHECK(((struct guest *)tasks[i])->content != 0);
    weft_all_tasks_free(tasks, count);
}

/* Two who announce the same task, which is then there once. */
static void setup_unregistered(void)
{
    guest_make(0);
}

static void announce(void)
{
    MODEL_CHECK(weft_register_task(&guests[0]->task) == 0);
}

static void check_once(void)
{
    MODEL_CHECK(registry_count() == 1);
    finish_first();
    end_rooms();
}

/* ---- the current task ---------------------------------------------------------------------------------------------------------------- */

static uint32_t inside; /* atomic */

static void enter_on(unsigned index)
{
    running = &loops[index];
    int status = weft_enter_task(running, &guests[0]->task);
    MODEL_CHECK(status == 0 || status == WEFT_ETASKBUSY);
    if (status == 0) {
        MODEL_CHECK(weft_atomic_add_relaxed(&inside, 1) == 0);
        MODEL_CHECK(weft_loop_current_task_id(running) == first_id);
        (void)weft_atomic_sub_relaxed(&inside, 1);
        MODEL_CHECK(weft_leave_task(running, &guests[0]->task) == 0);
    }
    running = NULL;
}

static void enter_0(void)
{
    enter_on(0);
}

static void enter_1(void)
{
    enter_on(1);
}

static void swap_1(void)
{
    running = &loops[1];
    struct weft_task *previous;
    if (weft_swap_current_task(running, &guests[0]->task, &previous) == 0) {
        MODEL_CHECK(previous == NULL && weft_atomic_add_relaxed(&inside, 1) == 0);
        (void)weft_atomic_sub_relaxed(&inside, 1);
        MODEL_CHECK(weft_swap_current_task(running, NULL, &previous) == 0 && previous == &guests[0]->task);
    }
    running = NULL;
}

static void look_who_is_current(void)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        uint64_t id = weft_loop_current_task_id(&loops[i]);
        MODEL_CHECK(id == 0 || id == first_id);
    }
}

static void check_left(void)
{
    MODEL_CHECK(guests[0]->task.is_entered == 0);
    finish_first();
    end_rooms();
}

/* ---- two steps swapped ---------------------------------------------------------------------------------------------------------------- */

/* Looks whether the task is current anywhere, and enters it after that. */
static void enter_swapped(void)
{
    running = &loops[1];
    if (weft_atomic_load_relaxed(&guests[0]->task.is_entered) == 0) {
        task_set_current(running, &guests[0]->task);
        MODEL_CHECK(weft_atomic_add_relaxed(&inside, 1) == 0);
        (void)weft_atomic_sub_relaxed(&inside, 1);
        task_set_current(running, NULL);
    }
    running = NULL;
}

static const struct model models[] = {
    {.name = "find",
     .about = "an id finds its task, or nothing once that has ended, and never another one in its slot",
     .setup = setup_one,
     .threads = {finish_first, find_first, come_and_go},
     .check = end_rooms,
     .may_leak = true,
     .bound = 2},
    {.name = "walk",
     .about = "a walk meets whole tasks only, while one ends and another comes and goes",
     .setup = setup_one,
     .threads = {finish_first, walk, come_and_go},
     .check = end_rooms,
     .may_leak = true,
     .bound = 2},
    {.name = "announce",
     .about = "of two who register a task one does",
     .setup = setup_unregistered,
     .threads = {announce, announce},
     .check = check_once,
     .may_leak = true,
     .bound = 3},
    {.name = "enter",
     .about = "a task is current on one loop at most, whether it is entered or swapped in, and others see its id or none",
     .setup = setup_one,
     .threads = {enter_0, enter_1, look_who_is_current},
     .check = check_left,
     .may_leak = true},
    {.name = "swap",
     .about = "the same of one that is swapped in",
     .setup = setup_one,
     .threads = {enter_0, swap_1},
     .check = check_left,
     .may_leak = true},
};

static const struct model broken[] = {
    {.name = "enter_swapped",
     .about = "a loop that looks whether a task is current and then enters it",
     .setup = setup_one,
     .threads = {enter_0, enter_swapped},
     .check = check_left,
     .may_leak = true},
};

int main(int argc, char **argv)
{
    static const struct model_suite suite = {.models = models,
                                             .model_count = sizeof(models) / sizeof(*models),
                                             .broken = broken,
                                             .broken_count = sizeof(broken) / sizeof(*broken),
                                             .owns = {"lib/task/registry.c", "lib/task/task_base.c"}};
    return model_main(&suite, argc, argv);
}
