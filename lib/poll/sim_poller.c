/*
 * Sim poller: the backend over a simulated world.
 *
 * What becomes of readiness is decided in lib/poll/readiness.c, as for epoll. Here is how such a poller waits: what is ready or due comes
 * first; then, if this is the only poller of its world, time jumps to whatever comes next; and if nothing ever will, the thread really
 * sleeps until a wake. That way a loop over a simulated world still hears from other threads.
 */
#include <errno.h>

#include "lib/poll/sim_world.h"
#include "lib/poll/waker.h"
#include "weft/atomic.h"

struct sim_poller {
    struct readiness readiness; /* first */
    struct weft_sim_host *host;
    struct waker waker;
    uint32_t boot_count; /* of the host as this was made */
    bool owns_world;
};

static struct sim_poller *sim_of(struct weft_poller *poller)
{
    return (struct sim_poller *)(void *)poller;
}

struct weft_sim_host *sim_poller_host(struct weft_poller *poller)
{
    return sim_of(poller)->host;
}

bool sim_poller_is_dead(struct weft_poller *poller)
{
    return !sim_host_is_up(sim_of(poller)->host, sim_of(poller)->boot_count);
}

/* What readiness asks of a kernel */

static struct sim_node *node_of(struct readiness *readiness, const struct weft_file *file)
{
    return sim_node_find(sim_of(&readiness->base)->host->world, file->fd);
}

static int file_attempt(struct readiness *readiness, struct weft_operation *operation, struct readiness_window window, bool is_first)
{
    struct sim_node *node = node_of(readiness, operation->file);
    return node == NULL ? -EBADF : sim_attempt(node, operation, window, is_first);
}

/* What a script or the dice do to an operation they do to this. */
static int file_send(struct readiness *readiness, struct weft_file *file, const struct iovec *iov, size_t count)
{
    struct weft_operation operation = {.file = file, .kind = WEFT_OP_SENDV, .args.vector = {iov, count}};
    if (count == 1) {
        operation.kind = WEFT_OP_SEND;
        operation.args.bytes.buf = iov->iov_base;
        operation.args.bytes.len = iov->iov_len;
    }
    return file_attempt(readiness, &operation, (struct readiness_window){NULL, 0}, true);
}

/* As with EPOLL_CTL_ADD, what is ready already is reported as an edge. */
static int file_watch(struct readiness *readiness, struct weft_file *file)
{
    struct sim_node *node = node_of(readiness, file);
    if (node == NULL)
        return -EBADF;
    int status = sim_reserve(sim_node_world(node), 1);
    if (status < 0)
        return status;
    node->readiness = readiness;
    node->file = file;
    file->generation = (uint32_t)node->serial;
    sim_push(node, 0, SIM_EDGE, node->script != NULL ? WEFT_FILE_READABLE : 0); /* A scripted failure needs no bytes to happen. */
    return 0;
}

static void file_unwatch(struct readiness *readiness, struct weft_file *file)
{
    struct sim_node *node = node_of(readiness, file);
    node->readiness = NULL;
    node->file = NULL;
}

static void file_close(struct readiness *readiness, struct weft_file *file)
{
    struct sim_node *node = node_of(readiness, file);
    if (node != NULL)
        sim_node_destroy(node);
}

static const struct readiness_ops sim_readiness_ops = {file_attempt, file_send, file_watch, file_unwatch, file_close};

/* The table */

static void world_leave(struct sim_poller *sim)
{
    struct weft_sim *world = sim->host->world;
    for (int id = 0; id < world->nodes_max; id++) {
        struct sim_node *node = world->nodes[id];
        if (node != NULL && node->readiness == &sim->readiness) {
            node->readiness = NULL;
            node->file = NULL;
        }
    }
    world->poller_count--;
    sim->host = NULL;
    if (sim->owns_world)
        sim_world_destroy(world);
}

static void sim_fini(struct weft_poller *poller)
{
    struct sim_poller *sim = sim_of(poller);
    if (sim->host == NULL)
        return; /* Never initialised. */
    world_leave(sim);
    waker_fini(&sim->waker);
    readiness_fini(&sim->readiness);
}

static int sim_init(struct weft_poller *poller, const struct weft_poller_options *options)
{
    poller->is_virtual = 1;
    struct sim_poller *sim = sim_of(poller);
    sim->waker.fd = -1;
    sim->host = options != NULL && options->world != NULL ? options->world : sim_host_entered();
    sim->owns_world = sim->host == NULL;
    if (sim->owns_world)
        sim->host = (struct weft_sim_host *)(void *)sim_world_create(NULL); /* its first member */
    if (sim->host == NULL)
        return -ENOMEM;
    sim->host->world->poller_count++;
    sim->boot_count = sim->host->boot_count;
    int status = readiness_init(&sim->readiness, &sim_readiness_ops);
    if (status == 0)
        status = waker_init(&sim->waker);
    if (status < 0)
        sim_fini(poller);
    return status;
}

static uint64_t deadline_ns(const struct weft_sim *world, int64_t timeout_ns)
{
    bool is_far = timeout_ns < 0 || (uint64_t)timeout_ns > SIM_NEVER_NS - 1 - world->now_ns;
    return is_far ? SIM_NEVER_NS : world->now_ns + (uint64_t)timeout_ns;
}

static bool has_something(const struct sim_poller *sim)
{
    return readiness_has_ready(&sim->readiness) || waker_is_signalled(&sim->waker);
}

/* The only poller of its world says how time passes: until the next event, or the end of its wait. False if neither will ever come. */
static bool pass_time(struct weft_sim *world, uint64_t until_ns)
{
    uint64_t next_ns = sim_world_next(world);
    if (next_ns < until_ns)
        until_ns = next_ns;
    if (until_ns == SIM_NEVER_NS)
        return false;
    sim_world_advance(world, until_ns);
    return true;
}

/* With nothing ready now. False if nothing in the world will ever end this wait. */
static bool let_world_go_on(struct sim_poller *sim, int64_t timeout_ns)
{
    struct weft_sim *world = sim->host->world;
    if (world->meanwhile != NULL)
        return world->meanwhile(world->driver, deadline_ns(world, timeout_ns));
    return timeout_ns == 0 || world->poller_count > 1 || pass_time(world, deadline_ns(world, timeout_ns));
}

static int sim_wait(struct weft_poller *poller, int64_t timeout_ns, struct weft_work_list *ready_out)
{
    struct sim_poller *sim = sim_of(poller);
    poller->counters.waits++;
    sim_world_advance(sim->host->world, sim->host->world->now_ns);
    if (!let_world_go_on(sim, has_something(sim) ? 0 : timeout_ns) && !has_something(sim))
        waker_block(&sim->waker);
    (void)waker_take(&sim->waker);
    return readiness_take(&sim->readiness, ready_out);
}

bool sim_poller_is_quiet(struct weft_poller *poller)
{
    const struct sim_poller *sim = sim_of(poller);
    if (poller->ops->init != sim_init || has_something(sim))
        return false;
    return sim_world_next(sim->host->world) > sim->host->world->now_ns;
}

static void sim_wake(struct weft_poller *poller)
{
    if (waker_wake(&sim_of(poller)->waker))
        weft_atomic_add_relaxed(&poller->counters.wakes, 1);
}

static uint64_t sim_now(struct weft_poller *poller)
{
    return sim_of(poller)->host->world->now_ns;
}

const struct weft_poller_ops *weft_poller_sim_ops(void)
{
    static const struct weft_poller_ops ops = {
        .size = sizeof(ops),
        .state_bytes = sizeof(struct sim_poller),
        .name = "sim",
        .init = sim_init,
        .fini = sim_fini,
        .submit = readiness_submit,
        .cancel = readiness_cancel,
        .wait = sim_wait,
        .wake = sim_wake,
        .now = sim_now,
        .sockets = &sim_sockets,
        .send = readiness_send,
    };
    return &ops;
}
