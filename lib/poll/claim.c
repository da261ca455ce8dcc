/*
 * Claim: the errors of submit that no backend decides by itself.
 *
 * A backend's submit calls claim_begin() first. After it the arguments make sense, the file is open and bound to this poller, and the
 * side is free.
 */
#include "lib/poll/claim.h"

#include <errno.h>

static unsigned side_of_kind(enum weft_operation_kind kind)
{
    switch (kind) {
    case WEFT_OP_ACCEPT:
    case WEFT_OP_RECV:
    case WEFT_OP_RECVMSG:
        return WEFT_FILE_READABLE;
    default:
        return WEFT_FILE_WRITABLE;
    }
}

unsigned claim_side(const struct weft_operation *operation)
{
    return operation->kind == WEFT_OP_POLL ? operation->args.poll.mask : side_of_kind((enum weft_operation_kind)operation->kind);
}

struct weft_operation **claim_slot(const struct weft_operation *operation)
{
    return claim_side(operation) == WEFT_FILE_READABLE ? &operation->file->read : &operation->file->write;
}

/* Whether the arguments fit the kind. What a kernel checks anyway is left to it. */
static bool args_are_valid(const struct weft_operation *operation)
{
    const union weft_operation_args *args = &operation->args;
    switch ((enum weft_operation_kind)operation->kind) {
    case WEFT_OP_ACCEPT:
        return (args->accept.address == NULL) == (args->accept.len == NULL);
    case WEFT_OP_RECV:
        return args->bytes.buf == NULL || args->bytes.len > 0; /* Else 0 would not mean the end. */
    case WEFT_OP_POLL:
        return args->poll.mask == WEFT_FILE_READABLE || args->poll.mask == WEFT_FILE_WRITABLE;
    case WEFT_OP_RECVMSG:
    case WEFT_OP_SENDMSG:
        return args->message.message != NULL;
    case WEFT_OP_CONNECT:
    case WEFT_OP_SEND:
    case WEFT_OP_SENDV:
    case WEFT_OP_CLOSE:
    case WEFT_OP_SHUTDOWN:
        return true;
    }
    return false;
}

/* Multishot operations leave the memory to the poller: a ring of provided buffers could not do otherwise. */
static bool flags_are_valid(const struct weft_operation *operation)
{
    switch (operation->flags) {
    case 0:
        return true;
    case WEFT_OP_MULTISHOT:
        return (operation->kind == WEFT_OP_ACCEPT && operation->args.accept.address == NULL) ||
               (operation->kind == WEFT_OP_RECV && operation->args.bytes.buf == NULL);
    case WEFT_OP_KEEP_FD:
        return operation->kind == WEFT_OP_CLOSE;
    default:
        return false;
    }
}

int claim_begin(struct weft_poller *poller, struct weft_operation *operation)
{
    struct weft_file *file = operation->file;
    assert(operation->state == 0);
    if (file == NULL || operation->callback == NULL || !args_are_valid(operation) || !flags_are_valid(operation))
        return -EINVAL;
    if (file->fd < 0 || (file->state & CLAIM_FILE_CLOSING) != 0)
        return -EBADF;
    if (file->poller != NULL && file->poller != poller)
        return -EXDEV;
    if (operation->kind != WEFT_OP_CLOSE && *claim_slot(operation) != NULL)
        return -EBUSY;
    file->poller = poller;
    return 0;
}
