/*
 * Executor of a loop: the default one that weft_loop_run_in_executor() uses.
 *
 * A runtime gives each of its loops the one that they share. A loop alone makes one of its own at the first use, and its close shuts that
 * down without waiting, as asyncio's does.
 */
#include <errno.h>

#include "lib/loop/loop.h"
#include "lib/task/executor.h"
#include "weft/memory.h"
#include "weft/status.h"

/* Hangs in the loop from the first use on. */
struct executor_room {
    struct loop_room_state room;
    struct weft_executor *executor; /* NULL: none yet */
    bool is_shut;
};

static struct executor_room *room_of(const struct weft_loop *loop)
{
    return (struct executor_room *)loop_room(loop, LOOP_ROOM_EXECUTOR);
}

static void room_close(struct weft_loop *loop, struct loop_room_state *state)
{
    struct executor_room *room = (struct executor_room *)state;
    (void)loop;
    room->is_shut = true;
    weft_executor_unref(room->executor);
    room->executor = NULL;
}

static void room_fini(struct weft_loop *loop, struct loop_room_state *state)
{
    (void)loop;
    weft_free(state);
}

static int room_get(struct weft_loop *loop, struct executor_room **room_out)
{
    int status = loop_check(loop);
    if (status < 0)
        return status;
    struct executor_room *room = room_of(loop);
    if (room == NULL) {
        room = weft_calloc(1, sizeof(*room));
        if (room == NULL)
            return -ENOMEM;
        room->room = (struct loop_room_state){.close = room_close, .fini = room_fini};
        loop_room_set(loop, LOOP_ROOM_EXECUTOR, &room->room);
    }
    *room_out = room;
    return 0;
}

int weft_loop_run_in_executor(struct weft_loop *loop, weft_executor_fn *fn, void *arg, struct weft_future **future_out)
{
    if (fn == NULL)
        return -EINVAL;
    struct executor_room *room;
    int status = room_get(loop, &room);
    if (status < 0)
        return status;
    if (room->is_shut)
        return WEFT_ECLOSED;
    if (room->executor == NULL && (status = weft_executor_create(NULL, &room->executor)) < 0)
        return status;
    return weft_executor_submit(room->executor, loop, fn, arg, future_out);
}

int weft_loop_set_default_executor(struct weft_loop *loop, struct weft_executor *executor)
{
    struct executor_room *room;
    int status = room_get(loop, &room);
    if (status < 0)
        return status;
    struct weft_executor *before = room->executor;
    room->executor = executor == NULL ? NULL : weft_executor_ref(executor);
    weft_executor_unref(before);
    return 0;
}

int weft_loop_shutdown_default_executor(struct weft_loop *loop, int64_t timeout_ns)
{
    if (loop == NULL)
        return -EINVAL;
    struct executor_room *room = room_of(loop);
    if (room == NULL)
        return 0;
    room->is_shut = true;
    return room->executor == NULL ? 0 : weft_executor_shutdown(room->executor, timeout_ns);
}
