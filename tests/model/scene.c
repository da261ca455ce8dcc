/*
 * Scene: the poller of a model's loops, and doubles of what they would call for it.
 */
#include "tests/model/scene.h"

#include "lib/base/context.h"
#include "lib/loop/loop.h"
#include "tests/model/checker.h"
#include "weft/context.h"
#include "weft/poller.h"

struct scene_poller {
    struct weft_poller base; /* first */
    struct model_token token;
    uint64_t now_ns;
};

static struct scene_poller *scene_poller(struct weft_poller *poller)
{
    return (struct scene_poller *)poller;
}

static int scene_init(struct weft_poller *poller, const struct weft_poller_options *options)
{
    (void)options;
    scene_poller(poller)->now_ns = 1;
    poller->is_virtual = 1;
    return 0;
}

static void scene_fini(struct weft_poller *poller)
{
    (void)poller;
}

static int scene_submit(struct weft_poller *poller, struct weft_operation *operation)
{
    (void)poller, (void)operation;
    return -1;
}

static int scene_wait(struct weft_poller *poller, int64_t timeout_ns, struct weft_work_list *ready_out)
{
    (void)ready_out;
    struct model_token *token = &scene_poller(poller)->token;
    if (timeout_ns < 0)
        model_wait(token);
    else if (timeout_ns > 0 && !model_wait_timeout(token))
        scene_poller(poller)->now_ns += (uint64_t)timeout_ns;
    return 0;
}

static void scene_wake(struct weft_poller *poller)
{
    model_signal(&scene_poller(poller)->token);
}

static uint64_t scene_now(struct weft_poller *poller)
{
    return scene_poller(poller)->now_ns;
}

static const struct weft_poller_ops scene_ops = {
    .size = sizeof(scene_ops),
    .state_bytes = sizeof(struct scene_poller),
    .name = "scene",
    .init = scene_init,
    .fini = scene_fini,
    .submit = scene_submit,
    .cancel = scene_submit,
    .wait = scene_wait,
    .wake = scene_wake,
    .now = scene_now,
};

const struct weft_poller_ops *weft_poller_epoll_ops(void)
{
    return &scene_ops;
}

const struct weft_poller_ops *weft_poller_sim_ops(void)
{
    return &scene_ops;
}

int weft_poller_init(struct weft_poller *poller, const struct weft_poller_ops *ops, const struct weft_poller_options *options)
{
    poller->ops = ops;
    return ops->init(poller, options);
}

/* ---- contexts: none ----------------------------------------------------------------------------------------------------------------- */

struct weft_context *context_swap_current(struct weft_context *context)
{
    return context;
}

struct weft_context *weft_context_current(void)
{
    return NULL;
}

int context_capture(struct weft_context **context_out)
{
    *context_out = NULL;
    return 0;
}

struct weft_context *weft_context_ref(struct weft_context *context)
{
    return context;
}

void weft_context_unref(struct weft_context *context)
{
    (void)context;
}

/* ---- what a loop asks of the process: it is not forked, and no thread is a simulated host's -------------------------------------------- */

struct fork_watch;
int fork_watch_add(struct fork_watch *watch);
void fork_watch_remove(struct fork_watch *watch);
void loop_forked(struct fork_watch *watch);
struct weft_sim_host *sim_host_entered(void);

int fork_watch_add(struct fork_watch *watch)
{
    (void)watch;
    return 0;
}

void fork_watch_remove(struct fork_watch *watch)
{
    (void)watch;
}

void loop_forked(struct fork_watch *watch)
{
    (void)watch;
}

struct weft_sim_host *sim_host_entered(void)
{
    return NULL;
}

/* ---- loops -------------------------------------------------------------------------------------------------------------------------- */

struct weft_loop *scene_loop(void)
{
    struct weft_loop *loop = NULL;
    MODEL_CHECK(weft_loop_new(NULL, 0, &loop) == 0);
    return loop;
}

void scene_loop_end(struct weft_loop *loop)
{
    MODEL_CHECK(weft_loop_close(loop) == 0);
    weft_loop_unref(loop);
}
