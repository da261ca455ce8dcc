/*
 * Sim attempts: what try.c does with system calls, done on nodes, and spoiled where a script or the dice say so.
 *
 * Called by readiness on the thread of the world. The invariant is readiness's: after an attempt that would block, or that left bytes
 * behind, an edge is sure to come, either from the node or from an event pushed here.
 */
#include <errno.h>
#include <string.h>

#include "lib/poll/claim.h"
#include "lib/poll/sim_world.h"

/* Streams */

static int attempt_read(struct sim_node *node, unsigned char *buf, size_t len)
{
    if (node->in.arrived > 0)
        return (int)sim_node_read(node, buf, len);
    if (node->error != 0)
        return node->error;
    if (node->in.is_ended)
        return 0;
    return node->kind == SIM_STREAM ? READINESS_WOULD_BLOCK : -ENOTCONN;
}

static int attempt_recvmsg(struct sim_node *node, struct msghdr *message)
{
    int total = 0;
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        int count = attempt_read(node, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
        if (count < 0)
            return total > 0 ? total : count;
        total += count;
        if ((size_t)count < message->msg_iov[i].iov_len)
            break;
    }
    return total;
}

static int write_check(struct sim_node *node)
{
    if (sim_fault(node->host, node->host->faults.write_reset_permille, "write-resets"))
        sim_node_reset(node);
    if (node->error != 0)
        return node->error;
    if (node->kind != SIM_STREAM)
        return -ENOTCONN;
    return node->is_shut || (node->peer < 0 && !node->is_orphan) ? -EPIPE : 0;
}

static size_t bytes_of(const struct iovec *iov, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

/* How many bytes a write may take when the dice make it short. Whoever has some left tries again at once. */
static size_t short_write_max(struct sim_node *node, const struct iovec *iov, size_t count, size_t bytes_max)
{
    uint32_t permille = node->host->faults.short_write_permille;
    size_t bytes = permille == 0 ? 0 : bytes_of(iov, count);
    if (bytes < 2 || !sim_fault(node->host, permille, "short-write"))
        return bytes_max;
    size_t part = 1 + (size_t)random_below(&sim_node_world(node)->random, bytes - 1);
    return part < bytes_max ? part : bytes_max;
}

/* Write the pieces, `bytes_max` at most. A write of nothing is 0, as with send(2). */
static int attempt_write(struct sim_node *node, const struct iovec *iov, size_t count, size_t bytes_max)
{
    int status = write_check(node);
    if (status == 0)
        status = sim_reserve(sim_node_world(node), count);
    if (status < 0)
        return status;
    bytes_max = short_write_max(node, iov, count, bytes_max);
    size_t asked = 0;
    size_t total = 0;
    for (size_t i = 0; i < count && total == asked && total < bytes_max; i++) {
        size_t len = iov[i].iov_len < bytes_max - total ? iov[i].iov_len : bytes_max - total;
        int written = sim_node_write(node, iov[i].iov_base, len);
        if (written < 0)
            return total > 0 ? (int)total : written;
        asked += len;
        total += (size_t)written;
    }
    return total == 0 && asked > 0 ? READINESS_WOULD_BLOCK : (int)total;
}

static int attempt_shutdown(struct sim_node *node)
{
    if (node->kind != SIM_STREAM)
        return -ENOTCONN;
    sim_node_shut(node);
    return 0;
}

/* Connections */

static int accept_fault(struct sim_node *listener)
{
    struct weft_sim_host *host = listener->host;
    if (listener->backlog_count == 0)
        return 0;
    if (sim_fault(host, host->faults.accept_emfile_permille, "accept-emfile"))
        return -EMFILE;
    return sim_fault(host, host->faults.accept_enfile_permille, "accept-enfile") ? -ENFILE : 0;
}

/* The next in the backlog that lives. */
static struct sim_node *accept_next(struct sim_node *listener)
{
    struct weft_sim_host *host = listener->host;
    struct sim_node *accepted;
    while ((accepted = sim_node_accept(listener)) != NULL && sim_fault(host, host->faults.accept_abort_permille, "accept-aborted")) {
        sim_node_reset(accepted);
        sim_node_destroy(accepted);
    }
    return accepted;
}

static int attempt_accept(struct sim_node *listener, const struct weft_operation *operation)
{
    if (listener->kind != SIM_LISTENER)
        return -EINVAL;
    int status = accept_fault(listener);
    struct sim_node *accepted = status < 0 ? NULL : accept_next(listener);
    if (accepted == NULL)
        return status < 0 ? status : READINESS_WOULD_BLOCK;
    socklen_t *len = operation->args.accept.len;
    if (len != NULL) {
        memcpy(operation->args.accept.address, &accepted->far.storage, *len < accepted->far.len ? *len : accepted->far.len);
        *len = accepted->far.len;
    }
    return WEFT_FD_VIRTUAL + accepted->id;
}

/* Where to? There may be nobody. */
static int connect_route(struct sim_node *node, const struct weft_operation *operation)
{
    int status = sim_name_set(&node->far, operation->args.connect.address, operation->args.connect.len);
    if (status < 0)
        return status;
    node->remote = sim_route(node->host, &node->far);
    return node->remote == NULL ? -EHOSTUNREACH : sim_reserve(sim_node_world(node), 1);
}

static int connect_begin(struct sim_node *node, const struct weft_operation *operation)
{
    int status = connect_route(node, operation);
    if (status < 0)
        return status;
    struct weft_sim *world = sim_node_world(node);
    const struct weft_sim_link *link = &sim_path(node->host, node->remote)->link;
    uint64_t latency_ns = sim_link_latency(world, link);
    node->kind = SIM_CONNECTING;
    node->connect_ns = world->now_ns + latency_ns;
    node->is_lost = sim_chance(world, link->connect_lose_permille);
    if (latency_ns > 0)
        sim_push(node, latency_ns, SIM_EDGE, WEFT_FILE_WRITABLE);
    return 0;
}

/* True if the way there, or the way back, is of no use at present. */
static bool connect_is_stalled(const struct sim_node *node)
{
    return node->is_lost || node->remote->is_down || sim_path(node->host, node->remote)->is_cut ||
           sim_path(node->remote, node->host)->is_cut;
}

static int connect_arrive(struct sim_node *node)
{
    if (sim_node_has_given_up(node))
        return -ETIMEDOUT;
    if (connect_is_stalled(node)) {
        sim_node_stall(node);
        return READINESS_WOULD_BLOCK;
    }
    sim_node_unstall(node);
    if (sim_chance(sim_node_world(node), sim_path(node->host, node->remote)->link.connect_refuse_permille))
        return -ECONNREFUSED;
    int status = sim_node_connect(node);
    return status == -EAGAIN ? READINESS_WOULD_BLOCK : status; /* The backlog is full; an accept will tell. */
}

static int attempt_connect(struct sim_node *node, const struct weft_operation *operation, bool is_first)
{
    if (is_first && node->kind != SIM_IDLE)
        return node->kind == SIM_STREAM ? -EISCONN : node->kind == SIM_CONNECTING ? -EALREADY : -EOPNOTSUPP;
    if (node->kind == SIM_IDLE) {
        int status = connect_begin(node, operation);
        if (status < 0)
            return status;
    }
    if (sim_node_world(node)->now_ns < node->connect_ns)
        return READINESS_WOULD_BLOCK;
    int status = connect_arrive(node);
    if (status == READINESS_WOULD_BLOCK)
        return status;
    sim_node_unstall(node);
    node->kind = status == 0 ? SIM_STREAM : SIM_IDLE;
    return status;
}

static int attempt_poll(const struct sim_node *node, unsigned mask)
{
    unsigned bits = sim_node_ready(node) & (mask | WEFT_FILE_HANGUP);
    return (bits & mask) == 0 ? READINESS_WOULD_BLOCK : (int)bits;
}

/* `bytes_max` limits what moves. */
static int attempt_kind(struct sim_node *node, struct weft_operation *operation, struct readiness_window window, size_t bytes_max,
                        bool is_first)
{
    const union weft_operation_args *args = &operation->args;
    struct iovec piece = {args->bytes.buf, args->bytes.len};
    switch ((enum weft_operation_kind)operation->kind) {
    case WEFT_OP_ACCEPT:
        return attempt_accept(node, operation);
    case WEFT_OP_CONNECT:
        return attempt_connect(node, operation, is_first);
    case WEFT_OP_RECV:
        return attempt_read(node, window.buf, window.len < bytes_max ? window.len : bytes_max);
    case WEFT_OP_SEND:
        return attempt_write(node, &piece, 1, bytes_max);
    case WEFT_OP_SENDV:
        return attempt_write(node, args->vector.iov, args->vector.count, bytes_max);
    case WEFT_OP_RECVMSG:
        return attempt_recvmsg(node, args->message.message);
    case WEFT_OP_SENDMSG:
        return attempt_write(node, args->message.message->msg_iov, args->message.message->msg_iovlen, bytes_max);
    case WEFT_OP_POLL:
        return attempt_poll(node, args->poll.mask);
    case WEFT_OP_SHUTDOWN:
        return attempt_shutdown(node);
    case WEFT_OP_CLOSE:
        break; /* Not an attempt: see lib/poll/readiness.c. */
    }
    return -EINVAL;
}

/* Scripts */

static struct sim_script *script_find(struct sim_node *node, unsigned kind)
{
    struct sim_script *script = node->script;
    while (script != NULL && (script->step.kind != kind || script->step.nth != node->counts[kind] + 1))
        script = script->next;
    return script;
}

static bool script_delays(struct sim_node *node, struct sim_script *script, unsigned side)
{
    uint64_t now_ns = sim_node_world(node)->now_ns;
    if (script->step.delay_ns == 0)
        return false;
    if (script->until_ns == 0) {
        script->until_ns = now_ns + script->step.delay_ns;
        sim_push(node, script->step.delay_ns, SIM_EDGE, side);
    }
    return now_ns < script->until_ns;
}

/* How many bytes a read may give when the dice make it short. The rest comes with an edge of its own, like a second segment. */
static size_t short_read_max(struct sim_node *node, const struct weft_operation *operation)
{
    struct weft_sim *world = sim_node_world(node);
    if (operation->kind != WEFT_OP_RECV || node->in.arrived < 2 || sim_reserve(world, 1) < 0 ||
        !sim_fault(node->host, node->host->faults.short_read_permille, "short-read"))
        return SIZE_MAX;
    sim_push(node, 0, SIM_EDGE, 0);
    return 1 + (size_t)random_below(&world->random, node->in.arrived - 1);
}

static int attempt_scripted(struct sim_node *node, struct weft_operation *operation, struct readiness_window window, bool is_first,
                            struct sim_script *script)
{
    if (script_delays(node, script, claim_side(operation)))
        return READINESS_WOULD_BLOCK;
    if (script->step.error != 0)
        return script->step.error;
    if (script->step.bytes_max == 0)
        return attempt_kind(node, operation, window, SIZE_MAX, is_first);
    int result = attempt_kind(node, operation, window, script->step.bytes_max, is_first);
    if (result > 0)
        sim_push(node, 0, SIM_EDGE, 0); /* What is left behind comes with an edge of its own. */
    return result;
}

/* Of each kind of operation, its word in the trace. */
static const char *const words[SIM_KINDS] = {
    [WEFT_OP_ACCEPT] = "accept", [WEFT_OP_CONNECT] = "connect", [WEFT_OP_RECV] = "recv",    [WEFT_OP_SEND] = "send",
    [WEFT_OP_SENDV] = "send",    [WEFT_OP_RECVMSG] = "recv",    [WEFT_OP_SENDMSG] = "send", [WEFT_OP_POLL] = "poll",
    [WEFT_OP_CLOSE] = "close",   [WEFT_OP_SHUTDOWN] = "shut",
};

static int64_t traced(const struct weft_operation *operation, int result)
{
    return operation->kind == WEFT_OP_ACCEPT && result >= 0 ? result - WEFT_FD_VIRTUAL : result;
}

int sim_attempt(struct sim_node *node, struct weft_operation *operation, struct readiness_window window, bool is_first)
{
    if (node->is_dead)
        return -ENETDOWN;
    struct sim_script *script = script_find(node, operation->kind);
    int result = script != NULL ? attempt_scripted(node, operation, window, is_first, script)
                                : attempt_kind(node, operation, window, short_read_max(node, operation), is_first);
    if (result == READINESS_WOULD_BLOCK)
        return result;
    sim_trace(sim_node_world(node), node->host, words[operation->kind], node->id, traced(operation, result));
    node->counts[operation->kind]++;
    if (script_find(node, operation->kind) != NULL)
        sim_push(node, 0, SIM_EDGE, claim_side(operation)); /* The next step may be a failure, which needs no bytes to happen. */
    return result;
}
