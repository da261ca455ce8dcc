/*
 * Making tasks: pinned and stealable ones, through a factory or past it, and those of stolen jobs.
 *
 * Until task_start() has queued or stepped it, nobody else knows the task, and whatever fails can be taken back.
 */
#include <errno.h>

#include "lib/base/context.h"
#include "lib/task/coro_task.h"
#include "weft/memory.h"
#include "weft/status.h"

/* Who may make it, and who may run it. */
enum task_how { MADE_HERE, MADE_ANYWHERE, MADE_STEALABLE };

static inline bool is_ours(const struct weft_coro *coro)
{
    return coro->ops == &step_ops || coro->ops == &fiber_ops;
}

/*
 * Memory for the task of `coro`, ahead of that or its own, as a task that waits nowhere, with a reference for the caller and one for its run.
 * `here` is the loop that runs in this thread. NULL when out of memory.
 */
__attribute__((always_inline)) static inline struct coro_task *task_alloc(struct weft_loop *loop, struct weft_loop *here,
                                                                          struct weft_coro *coro, bool is_stealable)
{
    bool has_room = is_ours(coro) && coro_block(coro_room(coro)) == CORO_VACANT;
    struct coro_task *task = has_room ? coro_room(coro) : weft_malloc(sizeof(*task));
    if (task == NULL)
        return NULL;
    /* Part by part: all at once, gcc clears it by a string instruction first, which costs as much as the rest of this. */
    task->base.future =
        (struct weft_future){.ops = &task_future_ops, .loop = loop_ref_from(loop, here), .refs = 2, .flags = FUTURE_IS_TASK};
    task->base.ops = &coro_task_ops;
    task->base.id = 0;
    task->base.number = task_number_next(here == loop ? (struct task_room *)loop_room(loop, LOOP_ROOM_TASK) : NULL);
    task->base.name = NULL;
    task->base.is_entered = 0;
    task->base.ran_on = loop->index;
    task->base.parent_id = 0;
    task->coro = coro;
    task->waiter = (struct waiter){.work = {.run = task_run}, .loop = loop, .is_stealable = is_stealable};
    task->fut_waiter = NULL;
    task->cancel_message = NULL;
    task->stepping = NULL;
    task->state = 0;
    task->cancelling = 0;
    task->raise = 0;
    task->hold_count = 0;
    task->is_stealable = is_stealable;
    task->is_shielded = task->is_away = false;
    if (has_room)
        coro_set_block(task, CORO_SHARED);
    else
        task->block = CORO_APART;
    return task;
}

/* Let go what has not begun, without its coroutine. */
static void task_unmake(struct coro_task *task)
{
    task->coro = NULL;
    task->base.future.flags |= FUTURE_QUIET;
    future_unref_many(&task->base.future, 2);
}

/* What its maker said. */
static int task_set_up(struct coro_task *task, const struct weft_task_options *options)
{
    if (options != NULL && (options->flags & WEFT_TASK_NO_DESTROY_PENDING))
        task->base.future.flags |= FUTURE_QUIET;
    if (options != NULL && options->context != NULL)
        task->base.future.context = weft_context_ref(options->context);
    else if (context_capture(&task->base.future.context) < 0)
        return -ENOMEM;
    return options != NULL && options->name != NULL ? weft_task_set_name(&task->base, options->name) : 0;
}

static inline int task_start(struct coro_task *task, struct weft_loop *here, const struct weft_task_options *options)
{
    if (options != NULL && (options->flags & WEFT_TASK_EAGER_START) && here == task_home(task)) {
        task_start_eagerly(task, here);
        return 0;
    }
    int status = registry_add(&task->base, here);
    if (status >= 0)
        task_queue_from(task, here);
    return status;
}

static bool has_ops(const struct weft_coro *coro)
{
    const struct weft_coro_ops *ops = coro->ops;
    return ops != NULL && ops->size >= sizeof(*ops) && ops->send != NULL && ops->close != NULL;
}

/* Refuse `coro`: it is closed, as the contract of creation says, if it can be. */
static int refuse(struct weft_coro *coro, int status)
{
    if (coro != NULL && has_ops(coro))
        coro->ops->close(coro);
    return status;
}

static inline int check_options(const struct weft_coro *coro, const struct weft_task_options *options)
{
    const uint32_t known_flags = WEFT_TASK_EAGER_START | WEFT_TASK_NO_DESTROY_PENDING;
    if (coro == NULL || (options != NULL && (options->size < sizeof(*options) || (options->flags & ~known_flags) != 0)))
        return -EINVAL;
    return is_ours(coro) || has_ops(coro) ? 0 : WEFT_EPROTOCOL;
}

/* What closing the loop goes through to its tasks; false when out of memory. */
static inline bool has_room(struct weft_loop *loop)
{
    return loop_room(loop, LOOP_ROOM_TASK) != NULL || task_room(loop) != NULL;
}

static inline int check_loop(struct weft_loop *loop, struct weft_loop *here, enum task_how how)
{
    if (loop == NULL)
        return -EINVAL;
    return how == MADE_HERE && here != loop ? loop_check(loop) : loop_check_open(loop);
}

static int task_new(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, enum task_how how,
                    struct weft_task **task_out)
{
    struct weft_loop *here = loop_here();
    int status = check_loop(loop, here, how);
    if (status >= 0)
        status = check_options(coro, options);
    if (status < 0)
        return refuse(coro, status);
    struct coro_task *task = has_room(loop) ? task_alloc(loop, here, coro, how == MADE_STEALABLE) : NULL;
    if (task == NULL)
        return refuse(coro, -ENOMEM);
    status = task_set_up(task, options);
    if (status >= 0)
        status = task_start(task, here, options);
    if (status < 0) {
        task_unmake(task);
        return refuse(coro, status);
    }
    if (task_out != NULL)
        *task_out = &task->base;
    else
        weft_task_unref(&task->base);
    return 0;
}

int weft_task_new(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, struct weft_task **task_out)
{
    return task_new(loop, coro, options, MADE_HERE, task_out);
}

int weft_loop_create_task_threadsafe(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                                     struct weft_task **task_out)
{
    return task_new(loop, coro, options, MADE_ANYWHERE, task_out);
}

int weft_loop_spawn(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options, struct weft_task **task_out)
{
    return task_new(loop, coro, options, MADE_STEALABLE, task_out);
}

/* ---- tasks of stolen jobs --------------------------------------------------------------------------------------------------------- */

static int task_run_first(struct weft_work *work)
{
    struct coro_task *task = weft_container_of(work, struct coro_task, waiter.work);
    struct weft_loop *here = weft_get_running_loop();
    work->run = task_run;
    return here == NULL || loop_is_closed(here) ? task_run(work) : task_step_eagerly(task, here);
}

int task_make_child(struct weft_loop *loop, struct weft_coro *coro, struct weft_context *context, const struct weft_task *parent,
                    struct weft_task **task_out)
{
    struct coro_task *task = task_room(loop) == NULL ? NULL : task_alloc(loop, loop_here(), coro, true);
    if (task == NULL)
        return -ENOMEM;
    task->waiter.work.run = task_run_first;
    task->is_shielded = true; /* it begins also if it is cancelled before, and is told where it first waits */
    task_adopt(&task->base, context, parent);
    *task_out = &task->base;
    return 0;
}

void task_adopt(struct weft_task *task, struct weft_context *context, const struct weft_task *parent)
{
    task->future.context = context;
    task->parent_id = parent == NULL ? 0 : weft_atomic_load_relaxed(&parent->id);
}

struct weft_work *task_first_work(struct weft_task *task)
{
    return &coro_task(task)->waiter.work;
}

void task_drop_unstarted(struct weft_task *base)
{
    struct weft_coro *coro = coro_task(base)->coro;
    task_unmake(coro_task(base));
    coro->ops->close(coro);
}

/* ---- the public calls ------------------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static int create_by_factory(struct task_room *room, struct weft_loop *loop, struct weft_coro *coro,
                                                       const struct weft_task_options *options, struct weft_task **task_out)
{
    int status = loop_check(loop);
    if (status < 0)
        return refuse(coro, status);
    struct weft_task *task = NULL;
    status = room->factory(loop, coro, options, room->factory_arg, &task);
    if (status < 0)
        return status;
    if (task_out != NULL)
        *task_out = task;
    else
        weft_task_unref(task);
    return 0;
}

int weft_loop_create_task(struct weft_loop *loop, struct weft_coro *coro, const struct weft_task_options *options,
                          struct weft_task **task_out)
{
    struct task_room *room = loop == NULL ? NULL : (struct task_room *)loop_room(loop, LOOP_ROOM_TASK);
    if (room != NULL && room->factory != NULL)
        return create_by_factory(room, loop, coro, options, task_out);
    return task_new(loop, coro, options, MADE_HERE, task_out);
}

int weft_loop_set_task_factory(struct weft_loop *loop, weft_task_factory_fn *factory, void *arg)
{
    int status = loop_check(loop);
    if (status < 0)
        return status;
    struct task_room *room = task_room(loop);
    if (room == NULL)
        return -ENOMEM;
    room->factory = factory;
    room->factory_arg = arg;
    return 0;
}

weft_task_factory_fn *weft_loop_get_task_factory(struct weft_loop *loop)
{
    if (loop == NULL)
        return NULL;
    struct loop_room_state *state = loop_room(loop, LOOP_ROOM_TASK);
    return state == NULL ? NULL : ((struct task_room *)state)->factory;
}
