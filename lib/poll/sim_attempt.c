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
    if (node->is_reset)
        return -ECONNRESET;
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
    if (sim_chance(node->world, node->world->options.reset_permille))
        sim_node_reset(node);
    if (node->is_reset)
        return -ECONNRESET;
    if (node->kind != SIM_STREAM)
        return -ENOTCONN;
    return node->is_shut || node->peer < 0 ? -EPIPE : 0;
}

/* Write the pieces, `bytes_max` at most. A write of nothing is 0, as with send(2). */
static int attempt_write(struct sim_node *node, const struct iovec *iov, size_t count, size_t bytes_max)
{
    int status = write_check(node);
    if (status == 0)
        status = sim_reserve(node->world, count);
    if (status < 0)
        return status;
    size_t asked = 0;
    size_t total = 0;
    for (size_t i = 0; i < count && total == asked && total < bytes_max; i++) {
        size_t len = iov[i].iov_len < bytes_max - total ? iov[i].iov_len : bytes_max - total;
        asked += len;
        total += sim_node_write(node, iov[i].iov_base, len);
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

static int attempt_accept(struct sim_node *listener, const struct weft_operation *operation)
{
    if (listener->kind != SIM_LISTENER)
        return -EINVAL;
    struct sim_node *accepted = sim_node_accept(listener);
    if (accepted == NULL)
        return READINESS_WOULD_BLOCK;
    if (operation->args.accept.len != NULL)
        *operation->args.accept.len = 0; /* Peers have no names here. */
    return WEFT_FD_VIRTUAL + accepted->id;
}

static int connect_begin(struct sim_node *node, const struct weft_operation *operation)
{
    int status = sim_node_address(node, operation->args.connect.address, operation->args.connect.len);
    if (status == 0)
        status = sim_reserve(node->world, 1);
    if (status < 0)
        return status;
    uint64_t latency_ns = sim_latency(node->world);
    node->kind = SIM_CONNECTING;
    node->connect_ns = node->world->now_ns + latency_ns;
    if (latency_ns > 0)
        sim_push(node, latency_ns, SIM_EDGE, WEFT_FILE_WRITABLE);
    return 0;
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
    if (node->world->now_ns < node->connect_ns)
        return READINESS_WOULD_BLOCK;
    int status = sim_node_connect(node);
    if (status == -EAGAIN)
        return READINESS_WOULD_BLOCK; /* The backlog is full; an accept will tell. */
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
    uint64_t now_ns = node->world->now_ns;
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
    struct sim_world *world = node->world;
    if (operation->kind != WEFT_OP_RECV || node->in.arrived < 2 || !sim_chance(world, world->options.short_read_permille) ||
        sim_reserve(world, 1) < 0)
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

int sim_attempt(struct sim_node *node, struct weft_operation *operation, struct readiness_window window, bool is_first)
{
    struct sim_script *script = script_find(node, operation->kind);
    int result = script != NULL ? attempt_scripted(node, operation, window, is_first, script)
                                : attempt_kind(node, operation, window, short_read_max(node, operation), is_first);
    if (result == READINESS_WOULD_BLOCK)
        return result;
    node->counts[operation->kind]++;
    if (script_find(node, operation->kind) != NULL)
        sim_push(node, 0, SIM_EDGE, claim_side(operation)); /* The next step may be a failure, which needs no bytes to happen. */
    return result;
}
