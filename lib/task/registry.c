/*
 * Registry: all tasks of the process, and which of them is current where.
 *
 * Tasks register before their first step and unregister as they end. The table of slots (lib/lockfree/slots.h) holds one reference per
 * registration, so that a walk may take its own. Walks take them a page at a time and call nobody while they hold its pin.
 */
#include <errno.h>
#include <string.h>

#include "lib/task/task.h"
#include "weft/atomic.h"
#include "weft/memory.h"
#include "weft/status.h"

enum { NUMBER_BLOCK = 64 };

static void registry_release(void *object)
{
    weft_task_unref(object);
}

static struct slots registry = SLOTS_INIT(registry_release);
static uint64_t number_next = 1;

/* ---- the room's state per loop -------------------------------------------------------------------------------------------------- */

static void abandon_task(struct weft_task *task, void *arg)
{
    (void)arg;
    if (loop_is_forked(task->future.loop))
        return; /* an earlier one has forked, and this is the child */
    if (task->ops->size >= sizeof(*task->ops) && task->ops->abandon != NULL)
        task->ops->abandon(task);
    weft_unregister_task(task);
}

static void room_close(struct weft_loop *loop, struct loop_room_state *state)
{
    struct task_room *room = (struct task_room *)state;
    if (loop->worker.is_virtual)
        registry_each_in_order(loop, abandon_task, NULL);
    else
        registry_each(loop, abandon_task, NULL);
    while (room->awaited_count > 0 && !loop_is_forked(loop)) { /* what a child's copy has lost comes no more */
        worker_splice(&loop->worker);
        (void)worker_run(&loop->worker);
        weft_atomic_pause();
    }
}

static void room_fini(struct weft_loop *loop, struct loop_room_state *state)
{
    (void)loop;
    struct task_room *room = (struct task_room *)state;
    slots_cache_flush(&registry, &room->cache);
    block_cache_flush(&room->blocks);
    weft_free(room);
}

struct task_room *task_room(struct weft_loop *loop)
{
    struct task_room *room = (struct task_room *)loop_room(loop, LOOP_ROOM_TASK);
    if (room != NULL)
        return room;
    room = weft_calloc(1, sizeof(*room));
    if (room == NULL)
        return NULL;
    room->state = (struct loop_room_state){.close = room_close, .fini = room_fini};
    if (loop_room_set(loop, LOOP_ROOM_TASK, &room->state))
        return room;
    weft_free(room);
    return (struct task_room *)loop_room(loop, LOOP_ROOM_TASK);
}

uint64_t task_number_refill(struct task_room *room)
{
    if (room == NULL)
        return weft_atomic_add_relaxed(&number_next, 1);
    room->number_next = weft_atomic_add_relaxed(&number_next, NUMBER_BLOCK);
    room->number_end = room->number_next + NUMBER_BLOCK;
    return room->number_next++;
}

/* The cache of `loop`, which runs here; NULL if none runs. */
static struct slots_cache *cache_of(struct weft_loop *loop)
{
    struct loop_room_state *state = loop == NULL ? NULL : loop_room(loop, LOOP_ROOM_TASK);
    return state == NULL ? NULL : &((struct task_room *)state)->cache;
}

/* The cache that this thread may use: its running loop's. */
static struct slots_cache *thread_cache(void)
{
    return cache_of(weft_get_running_loop());
}

/* ---- registering -------------------------------------------------------------------------------------------------------------- */

int weft_register_task(struct weft_task *task)
{
    if (task == NULL || task->future.loop == NULL)
        return -EINVAL;
    if (weft_atomic_load_relaxed(&task->id) != 0)
        return 0;
    uint64_t id, expected = 0;
    /* Closing the loop goes through its room to the tasks. */
    int status = task_room(task->future.loop) == NULL ? -ENOMEM : slots_register(&registry, thread_cache(), weft_task_ref(task), &id);
    if (status < 0)
        weft_task_unref(task);
    else if (!weft_atomic_cas_relaxed(&task->id, &expected, id)) /* somebody else registered it meanwhile: once is enough */
        (void)slots_unregister(&registry, thread_cache(), id);
    return status < 0 ? status : 0;
}

int registry_add(struct weft_task *task, struct weft_loop *here)
{
    task->future.refs++; /* nobody else knows it yet */
    int status = slots_register(&registry, cache_of(here), task, &task->id);
    if (status < 0)
        task->future.refs--;
    return status;
}

bool registry_take_back(struct weft_task *task, struct weft_loop *here)
{
    uint64_t id = weft_atomic_load_relaxed(&task->id);
    /* Of two callers one wins the slot; the task is registered anew only once that one has said that it is not. */
    enum slots_end end = id == 0 ? SLOTS_NONE : slots_take_back(&registry, cache_of(here), id);
    if (end != SLOTS_NONE)
        weft_atomic_store_relaxed(&task->id, 0);
    return end == SLOTS_BACK;
}

void weft_unregister_task(struct weft_task *task)
{
    if (task != NULL && registry_take_back(task, weft_get_running_loop()))
        weft_task_unref(task);
}

/* ---- the current task ----------------------------------------------------------------------------------------------------------- */

static int check_running(struct weft_loop *loop)
{
    if (loop == NULL)
        return -EINVAL;
    return loop_is_here(loop) ? 0 : WEFT_ENOTRUNNINGLOOP;
}

/* The task that `loop` executes, for somebody who may tell others. */
static struct weft_task *tell_current(struct weft_loop *loop)
{
    struct task_room *room = (struct task_room *)loop_room(loop, LOOP_ROOM_TASK);
    if (room != NULL)
        room->told_count++;
    return loop->execution.task;
}

int weft_enter_task(struct weft_loop *loop, struct weft_task *task)
{
    int status = check_running(loop);
    if (status < 0 || task == NULL)
        return status < 0 ? status : -EINVAL;
    if (!task_may_enter(task, loop))
        return WEFT_EFORBIDDEN;
    uint32_t expected = 0;
    /* Claiming the task keeps it current on one loop at most (ENT-9); it hands over no memory. */
    if (loop->execution.task != NULL || !weft_atomic_cas_relaxed(&task->is_entered, &expected, 1))
        return WEFT_ETASKBUSY;
    task_set_current(loop, task);
    return 0;
}

int weft_leave_task(struct weft_loop *loop, struct weft_task *task)
{
    int status = check_running(loop);
    if (status < 0 || task == NULL)
        return status < 0 ? status : -EINVAL;
    if (loop->execution.task != task)
        return WEFT_ETASKMISMATCH;
    task_set_current(loop, NULL);
    return 0;
}

int weft_swap_current_task(struct weft_loop *loop, struct weft_task *task, struct weft_task **previous_out)
{
    int status = check_running(loop);
    if (status < 0)
        return status;
    if (task != NULL && !task_may_enter(task, loop))
        return WEFT_EFORBIDDEN;
    struct weft_task *previous = tell_current(loop);
    uint32_t expected = 0;
    if (task != NULL && task != previous && !weft_atomic_cas_relaxed(&task->is_entered, &expected, 1))
        return WEFT_ETASKBUSY;
    if (task != previous)
        task_set_current(loop, task);
    if (previous_out != NULL)
        *previous_out = previous;
    return 0;
}

int weft_current_task(struct weft_task **task_out)
{
    struct weft_loop *loop = weft_get_running_loop();
    if (loop == NULL)
        return WEFT_ENOLOOP;
    if (task_out == NULL)
        return -EINVAL;
    *task_out = tell_current(loop);
    return 0;
}

uint64_t weft_loop_current_task_id(const struct weft_loop *loop)
{
    return loop == NULL ? 0 : weft_atomic_load_relaxed(&loop->execution.task_id);
}

/* ---- finding and walking -------------------------------------------------------------------------------------------------------- */

struct weft_task *weft_task_from_id(uint64_t id)
{
    struct weft_task *task = slots_pin(&registry, id);
    if (task == NULL)
        return NULL;
    weft_task_ref(task);
    slots_unpin(&registry, thread_cache(), id);
    return task;
}

/* Take a reference on each task of a pinned page that counts; how many. */
static size_t keep_matching(const struct slots_entry *entries, size_t count, struct weft_loop *loop, struct weft_task **tasks_out)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct weft_task *task = entries[i].object;
        if (i + SLOTS_AHEAD < count)
            weft_atomic_fetch_line(entries[i + SLOTS_AHEAD].object);
        if ((loop == NULL || task->future.loop == loop) && !weft_future_done(&task->future))
            tasks_out[kept++] = weft_task_ref(task);
    }
    return kept;
}

/* Go on with a walk: true, and up to a page of tasks with a reference each; or it has ended. */
static bool walk_on(uint64_t *cursor, struct weft_loop *loop, struct weft_task **tasks_out, size_t *count_out)
{
    struct slots_entry entries[SLOTS_PAGE];
    struct slots_cache *cache = thread_cache();
    size_t count = slots_walk(&registry, cache, cursor, entries);
    *count_out = keep_matching(entries, count, loop, tasks_out);
    if (count > 0)
        slots_unpin(&registry, cache, entries[0].id);
    return count > 0;
}

void registry_each(struct weft_loop *loop, void (*fn)(struct weft_task *task, void *arg), void *arg)
{
    struct weft_task *tasks[SLOTS_PAGE];
    uint64_t cursor = 0;
    size_t count;
    while (walk_on(&cursor, loop, tasks, &count))
        for (size_t i = 0; i < count; i++) {
            fn(tasks[i], arg);
            weft_task_unref(tasks[i]);
        }
}

struct task_array {
    struct weft_task **tasks;
    size_t count;
    size_t capacity;
};

/* Room for one more page. */
static int array_reserve(struct task_array *array)
{
    if (array->capacity - array->count >= SLOTS_PAGE)
        return 0;
    size_t capacity = array->capacity == 0 ? SLOTS_PAGE : array->capacity * 2;
    struct weft_task **tasks = weft_realloc(array->tasks, capacity * sizeof(*tasks));
    if (tasks == NULL)
        return -ENOMEM;
    array->tasks = tasks;
    array->capacity = capacity;
    return 0;
}

/* All of `loop`, or of all for NULL. What is in it when this fails stays the caller's. */
static int array_fill(struct task_array *array, struct weft_loop *loop)
{
    uint64_t cursor = 0;
    size_t count = 0;
    do {
        array->count += count;
        int status = array_reserve(array);
        if (status < 0)
            return status;
    } while (walk_on(&cursor, loop, array->tasks + array->count, &count));
    return 0;
}

/* ---- in order ------------------------------------------------------------------------------------------------------------------- */

enum { ORDER_BLOCK = 64 };

/* The first few tasks, in order, of those that come after `last`; all referenced. */
struct order_block {
    struct weft_task *last; /* NULL: from the beginning */
    struct weft_task *tasks[ORDER_BLOCK];
    size_t count;
};

/* Those with a name have no number, and come first. */
static bool comes_before(const struct weft_task *one, const struct weft_task *other)
{
    if (one->number != other->number)
        return one->number < other->number;
    int names = one->name == NULL || other->name == NULL ? 0 : strcmp(one->name, other->name);
    return names != 0 ? names < 0 : one->id < other->id;
}

static void order_add(struct weft_task *task, void *arg)
{
    struct order_block *block = arg;
    if (block->last != NULL && !comes_before(block->last, task))
        return;
    size_t place = block->count;
    while (place > 0 && comes_before(task, block->tasks[place - 1]))
        place--;
    if (place == ORDER_BLOCK)
        return;
    if (block->count == ORDER_BLOCK)
        weft_task_unref(block->tasks[--block->count]);
    memmove(block->tasks + place + 1, block->tasks + place, (block->count - place) * sizeof(block->tasks[0]));
    block->tasks[place] = weft_task_ref(task);
    block->count++;
}

void registry_each_in_order(struct weft_loop *loop, void (*fn)(struct weft_task *task, void *arg), void *arg)
{
    struct order_block block = {.last = NULL};
    do {
        block.count = 0;
        registry_each(loop, order_add, &block);
        for (size_t i = 0; i < block.count; i++) {
            weft_task_unref(block.last);
            block.last = block.tasks[i];
            if (!weft_future_done(&block.last->future))
                fn(block.last, arg);
        }
    } while (block.count > 0);
    weft_task_unref(block.last);
}

size_t registry_count(void)
{
    return slots_count(&registry);
}

int weft_all_tasks(struct weft_loop *loop, struct weft_task ***tasks_out, size_t *count_out)
{
    if (tasks_out == NULL || count_out == NULL)
        return -EINVAL;
    struct task_array array = {NULL, 0, 0};
    int status = array_fill(&array, loop);
    if (status < 0) {
        weft_all_tasks_free(array.tasks, array.count);
        return status;
    }
    *tasks_out = array.tasks;
    *count_out = array.count;
    return 0;
}

void weft_all_tasks_free(struct weft_task **tasks, size_t count)
{
    for (size_t i = 0; tasks != NULL && i < count; i++)
        weft_task_unref(tasks[i]);
    weft_free(tasks);
}
