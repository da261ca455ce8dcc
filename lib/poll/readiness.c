/*
 * Readiness: see the header for the shape.
 *
 * Called by the backends epoll and sim, always on the loop's thread. The invariant: an operation is WAITING only while an event for its
 * side is sure to come, because the last attempt would have blocked, or emptied the file, or because the file was made known to the
 * kernel after it. And whatever is QUEUED sits in exactly one list, ours or the loop's.
 */
#include "lib/poll/readiness.h"

#include <errno.h>

#include "lib/poll/claim.h"
#include "weft/memory.h"

/*
 * `weft_operation.state`: one of the four, and the bit CANCELLED, which cancel sets and only the last callback clears.
 *
 * IDLE     the owner's
 * WAITING  for an event of its side
 * QUEUED   its work is in our list or in the loop's queue and will run
 * RUNNING  multishot, within a callback that has MORE
 */
enum {
    IDLE = 0,
    WAITING = 1,
    QUEUED = 2,
    RUNNING = 3,
    CANCELLED = 0x80,
};

/* So that one busy connection does not hold up the rest of a turn. */
enum {
    RECVS_MAX = 32,
    RECV_BYTES_MAX = 256 * 1024,
    ACCEPTS_MAX = 64,
};

enum {
    READ_SHIFT_MIN = 12,
    READ_SHIFT_MAX = 16,
};
static_assert(1 << READ_SHIFT_MAX == READINESS_LENT_BYTES, "the largest read fits");

static int operation_run(struct weft_work *work);

static struct readiness *readiness_of(struct weft_poller *poller)
{
    return (struct readiness *)(void *)poller;
}

int readiness_init(struct readiness *readiness, const struct readiness_ops *ops)
{
    readiness->ops = ops;
    readiness->lent = weft_aligned_alloc(64, READINESS_LENT_BYTES);
    return readiness->lent == NULL ? -ENOMEM : 0;
}

void readiness_fini(struct readiness *readiness)
{
    weft_free(readiness->lent);
    readiness->lent = NULL;
}

static void operation_enqueue(struct readiness *readiness, struct weft_operation *operation)
{
    operation->state = (uint8_t)((operation->state & CANCELLED) | QUEUED);
    weft_work_list_push(&readiness->ready, &operation->work);
}

static void operation_wait(struct weft_operation *operation)
{
    operation->state = WAITING;
}

static void operation_pend(struct readiness *readiness, struct weft_operation *operation)
{
    operation->work.run = operation_run;
    operation->generation = operation->file->generation;
    readiness->base.pending_count++;
    operation_wait(operation);
}

/* What the recv `operation` may fill. */
static struct readiness_window recv_window(const struct readiness *readiness, const struct weft_operation *operation)
{
    struct readiness_window window = {operation->args.bytes.buf, operation->args.bytes.len};
    if (window.buf == NULL) {
        size_t len_max = (size_t)1 << operation->file->read_shift;
        window.buf = readiness->lent;
        window.len = window.len == 0 || window.len > len_max ? len_max : window.len;
    }
    return window;
}

/* A read that filled its window asks for more the next time; one that used less than a quarter asks for less. */
static void read_shift_adapt(struct weft_file *file, size_t count)
{
    size_t asked = (size_t)1 << file->read_shift;
    if (count == asked && file->read_shift < READ_SHIFT_MAX)
        file->read_shift++;
    else if (count < asked / 4 && file->read_shift > READ_SHIFT_MIN)
        file->read_shift--;
}

/*
 * A short read has emptied a stream, so the next event is an edge and no second read is due. But not after a hangup: the end of the
 * stream came with the event that is already spent, and nobody would ever read it.
 */
static inline void recv_note(struct weft_operation *operation, struct readiness_window window, size_t count)
{
    struct weft_file *file = operation->file;
    if (operation->args.bytes.buf == NULL) {
        operation->lent = window.buf;
        read_shift_adapt(file, count);
    }
    bool is_empty = count < window.len && file->kind == WEFT_FILE_STREAM;
    if (is_empty && (file->state & CLAIM_FILE_WATCHED) != 0 && (file->ready & WEFT_FILE_HANGUP) == 0)
        file->ready &= (uint8_t)~WEFT_FILE_READABLE;
}

/* An attempt would have blocked: only an event tells of the next one, unless none will ever come. */
static int operation_blocked(const struct weft_operation *operation)
{
    struct weft_file *file = operation->file;
    bool is_read = claim_side(operation) == WEFT_FILE_READABLE;
    file->ready &= (uint8_t) ~(is_read ? WEFT_FILE_READABLE | WEFT_FILE_HANGUP : WEFT_FILE_WRITABLE);
    return (file->state & CLAIM_FILE_ALWAYS_READY) != 0 ? -EAGAIN : READINESS_WOULD_BLOCK;
}

static inline int recv_attempt(struct readiness *readiness, struct weft_operation *operation, bool is_first)
{
    struct readiness_window window = recv_window(readiness, operation);
    int result = readiness->ops->attempt(readiness, operation, window, is_first);
    if (result == READINESS_WOULD_BLOCK)
        return operation_blocked(operation);
    if (result > 0)
        recv_note(operation, window, (size_t)result);
    return result;
}

static int operation_attempt(struct readiness *readiness, struct weft_operation *operation, bool is_first)
{
    if (operation->kind == WEFT_OP_RECV)
        return recv_attempt(readiness, operation, is_first);
    int result = readiness->ops->attempt(readiness, operation, (struct readiness_window){NULL, 0}, is_first);
    return result == READINESS_WOULD_BLOCK ? operation_blocked(operation) : result;
}

/* Close */

static void file_close(struct readiness *readiness, struct weft_file *file, bool keeps_fd)
{
    if ((file->state & CLAIM_FILE_WATCHED) != 0)
        readiness->ops->unwatch(readiness, file);
    if (!keeps_fd && file->fd >= 0)
        readiness->ops->close(readiness, file);
    weft_file_init(file, keeps_fd ? file->fd : -1, (enum weft_file_kind)file->kind);
}

/* A listener whose accept is cancelled: that asks the kernel for nothing more, and the address shall be free without a further poll. */
static void file_close_early(struct readiness *readiness, struct weft_file *file)
{
    if ((file->state & CLAIM_FILE_WATCHED) != 0)
        readiness->ops->unwatch(readiness, file);
    readiness->ops->close(readiness, file);
    file->state &= (uint8_t)~CLAIM_FILE_WATCHED;
    file->fd = -1;
}

/* After the last callback of an operation neither it nor its file is looked at: the owner may have freed them. */
static int operation_finish(struct readiness *readiness, struct weft_operation *operation, int result)
{
    struct weft_file *file = operation->file;
    operation->state = IDLE;
    readiness->base.pending_count--;
    readiness->base.counters.completes++;
    if (operation->kind == WEFT_OP_CLOSE) {
        file_close(readiness, file, (operation->flags & WEFT_OP_KEEP_FD) != 0);
        return operation->callback(operation, result, 0);
    }
    *claim_slot(operation) = NULL;
    if (file->close != NULL && file->read == NULL && file->write == NULL)
        operation_enqueue(readiness, file->close);
    return operation->callback(operation, result, 0);
}

static int submit_close(struct readiness *readiness, struct weft_operation *operation)
{
    struct weft_file *file = operation->file;
    if (file->read == NULL && file->write == NULL) {
        file_close(readiness, file, (operation->flags & WEFT_OP_KEEP_FD) != 0);
        readiness->base.counters.inlines++;
        return 0;
    }
    file->state |= CLAIM_FILE_CLOSING;
    file->close = operation;
    operation_pend(readiness, operation);
    if (file->read != NULL)
        readiness_cancel(&readiness->base, file->read);
    if (file->write != NULL)
        readiness_cancel(&readiness->base, file->write);
    bool is_listener = file->write == NULL && file->read->kind == WEFT_OP_ACCEPT;
    if (is_listener && (operation->flags & WEFT_OP_KEEP_FD) == 0)
        file_close_early(readiness, file);
    return -EINPROGRESS;
}

/* Submit */

static int file_watch(struct readiness *readiness, struct weft_file *file)
{
    int status = readiness->ops->watch(readiness, file);
    if (status == -EPERM) {
        file->state |= CLAIM_FILE_ALWAYS_READY;
        return 0;
    }
    if (status == 0) {
        file->state |= CLAIM_FILE_WATCHED;
        readiness->base.counters.registers++;
    }
    return status;
}

/* A clear bit means that an event is on its way. But it says nothing about what does not wait for the file to become writable. */
static bool is_worth_an_attempt(const struct weft_operation *operation)
{
    if (claim_is_multishot(operation))
        return false;
    bool waits_for_its_side = operation->kind != WEFT_OP_CONNECT && operation->kind != WEFT_OP_SHUTDOWN;
    return !waits_for_its_side || (operation->file->ready & claim_side(operation)) != 0;
}

static int submit_side(struct readiness *readiness, struct weft_operation *operation)
{
    struct weft_file *file = operation->file;
    bool was_known = (file->state & (CLAIM_FILE_WATCHED | CLAIM_FILE_ALWAYS_READY)) != 0;
    if (is_worth_an_attempt(operation)) {
        int result = operation_attempt(readiness, operation, true);
        if (result != READINESS_WOULD_BLOCK) {
            readiness->base.counters.inlines++;
            return result;
        }
    }
    int status = was_known ? 0 : file_watch(readiness, file);
    if (status < 0)
        return status;
    if ((file->state & CLAIM_FILE_ALWAYS_READY) != 0 && !claim_is_multishot(operation))
        return -EAGAIN;
    *claim_slot(operation) = operation;
    operation_pend(readiness, operation);
    if (claim_is_multishot(operation)) {
        bool is_reported = !was_known && (file->state & CLAIM_FILE_WATCHED) != 0;
        file->ready &= (uint8_t) ~(is_reported ? WEFT_FILE_READABLE : 0); /* The kernel reports what it finds when it begins to watch. */
        if ((file->ready & WEFT_FILE_READABLE) != 0)
            operation_enqueue(readiness, operation);
    }
    return -EINPROGRESS;
}

int readiness_submit(struct weft_poller *poller, struct weft_operation *operation)
{
    struct readiness *readiness = readiness_of(poller);
    int status = claim_begin(poller, operation);
    if (status < 0)
        return status;
    poller->counters.submits++;
    return operation->kind == WEFT_OP_CLOSE ? submit_close(readiness, operation) : submit_side(readiness, operation);
}

int readiness_send(struct weft_poller *poller, struct weft_file *file, const struct iovec *iov, size_t count)
{
    struct readiness *readiness = readiness_of(poller);
    int status = claim_send(poller, file);
    if (status < 0)
        return status;
    if ((file->ready & WEFT_FILE_WRITABLE) == 0)
        return -EAGAIN;
    int result = readiness->ops->send(readiness, file, iov, count);
    if (result == READINESS_WOULD_BLOCK) {
        file->ready &= (uint8_t)~WEFT_FILE_WRITABLE;
        return -EAGAIN;
    }
    poller->counters.submits++;
    poller->counters.inlines++;
    return result;
}

int readiness_cancel(struct weft_poller *poller, struct weft_operation *operation)
{
    if (operation->state == IDLE || operation->kind == WEFT_OP_CLOSE || operation->file->poller != poller)
        return -ENOENT;
    bool is_waiting = operation->state == WAITING;
    operation->state |= CANCELLED;
    if (is_waiting)
        operation_enqueue(readiness_of(poller), operation);
    return 0;
}

/* Events */

static void side_event(struct readiness *readiness, struct weft_operation *operation)
{
    if (operation != NULL && operation->state == WAITING)
        operation_enqueue(readiness, operation);
}

void readiness_event(struct readiness *readiness, struct weft_file *file, unsigned bits)
{
    file->ready |= (uint8_t)bits;
    if ((bits & (WEFT_FILE_READABLE | WEFT_FILE_HANGUP)) != 0)
        side_event(readiness, file->read);
    if ((bits & WEFT_FILE_WRITABLE) != 0)
        side_event(readiness, file->write);
}

int readiness_take(struct readiness *readiness, struct weft_work_list *ready_out)
{
    size_t count = readiness->ready.count;
    weft_work_list_append(ready_out, &readiness->ready);
    return count > INT_MAX ? INT_MAX : (int)count;
}

/* Delivery: the loop runs these, in the order of the list. */

/* One of many is delivered. False if nothing more is to be done: `*status_out` is fatal, or it was cancelled within. */
static inline bool deliver_one(struct readiness *readiness, struct weft_operation *operation, int result, int *status_out)
{
    operation->state = RUNNING;
    readiness->base.counters.completes++;
    *status_out = operation->callback(operation, result, WEFT_OP_MORE);
    if (*status_out == 0 && operation->state == RUNNING)
        return true;
    operation_enqueue(readiness, operation);
    return false;
}

/* No new edge will come for what is left. */
static void budget_is_spent(struct readiness *readiness, struct weft_operation *operation)
{
    readiness->base.counters.requeues++;
    operation_enqueue(readiness, operation);
}

static int run_receiving(struct readiness *readiness, struct weft_operation *operation)
{
    const struct weft_file *file = operation->file;
    size_t bytes = 0;
    for (unsigned count = 1;; count++) {
        int status, result = recv_attempt(readiness, operation, false);
        if (result == READINESS_WOULD_BLOCK)
            break;
        if (result <= 0)
            return operation_finish(readiness, operation, result);
        bytes += (size_t)result;
        if (!deliver_one(readiness, operation, result, &status))
            return status;
        if ((file->ready & WEFT_FILE_READABLE) == 0)
            break;
        if (count == RECVS_MAX || bytes >= RECV_BYTES_MAX) {
            budget_is_spent(readiness, operation);
            return 0;
        }
    }
    operation_wait(operation);
    return 0;
}

static int run_accepting(struct readiness *readiness, struct weft_operation *operation)
{
    for (unsigned count = 0; count < ACCEPTS_MAX; count++) {
        int status, result = operation_attempt(readiness, operation, false);
        if (result == READINESS_WOULD_BLOCK) {
            operation_wait(operation);
            return 0;
        }
        if (result < 0)
            return operation_finish(readiness, operation, result);
        if (!deliver_one(readiness, operation, result, &status))
            return status;
    }
    budget_is_spent(readiness, operation);
    return 0;
}

/* A connect that had come to its end before the cancel says so; of all others, nothing has happened that was not delivered. */
static int run_cancelled(struct readiness *readiness, struct weft_operation *operation)
{
    int result = operation->kind == WEFT_OP_CONNECT ? operation_attempt(readiness, operation, false) : READINESS_WOULD_BLOCK;
    return operation_finish(readiness, operation, result == READINESS_WOULD_BLOCK ? -ECANCELED : result);
}

static int operation_run(struct weft_work *work)
{
    struct weft_operation *operation = weft_container_of(work, struct weft_operation, work);
    struct readiness *readiness = readiness_of(operation->file->poller);
    if ((operation->state & CANCELLED) != 0)
        return run_cancelled(readiness, operation);
    if (claim_is_multishot(operation))
        return operation->kind == WEFT_OP_RECV ? run_receiving(readiness, operation) : run_accepting(readiness, operation);
    if (operation->kind == WEFT_OP_CLOSE)
        return operation_finish(readiness, operation, 0);
    int result = operation_attempt(readiness, operation, false);
    if (result == READINESS_WOULD_BLOCK) {
        operation_wait(operation);
        return 0;
    }
    return operation_finish(readiness, operation, result);
}
