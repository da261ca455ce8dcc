/*
 * Raw io_uring: the limit that weft's servers on a ring are held against, by hand.
 *
 * A ring for each thread, for it alone (SINGLE_ISSUER, DEFER_TASKRUN), its descriptor registered; connections have no descriptors but
 * places in the ring's table; one accept and one receive for each connection stay submitted, and receive into buffers of a ring that all
 * share. A reply is sent from the buffer that brought the request, and the buffer goes back when that is done. One entry to the kernel for
 * each turn submits and waits. Where the kernel does not let it, it says so and is no contestant.
 */
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "bench/kit/service.h"

enum { SUBMISSIONS = 4096, COMPLETIONS = 16384, PLACES_MAX = 32768, GROUP = 0, NOBODY = UINT16_MAX };
enum { SMALL_COUNT = 1024, SMALL_BYTES = 4096, LARGE_COUNT = 8, LARGE_BYTES = 65536 };
enum operation { ACCEPT, RECEIVE, SEND, CLOSE };

/* A buffer on its way out. */
struct outgoing {
    const char *bytes;
    uint32_t len;
    uint16_t next; /* of the same connection, to be sent after it; NOBODY ends it */
    char *copy;    /* of a reply that does not fit the buffer */
};

struct connection {
    uint32_t place;
    uint16_t first, last; /* on their way out, the first one submitted; NOBODY: none */
    bool is_over;
    struct connection *next_starved;
    void *state[];
};

struct loop {
    struct io_uring ring;
    const struct service *service;
    int listener;
    struct io_uring_buf_ring *free_buffers;
    char *buffers;
    uint32_t buffer_count, buffer_bytes;
    struct outgoing *outgoing;       /* by the buffer's number */
    struct connection **connections; /* by place */
    struct connection *starved;      /* whose receive found no buffer */
};

/* ---- submissions -------------------------------------------------------------------------------------------------------------------- */

static uint64_t tag(enum operation operation, uint32_t place, uint16_t buffer)
{
    return (uint64_t)operation << 48 | (uint64_t)buffer << 32 | place;
}

static struct io_uring_sqe *submission(struct loop *loop)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
    if (sqe == NULL) {
        io_uring_submit(&loop->ring);
        sqe = service_must(io_uring_get_sqe(&loop->ring));
    }
    return sqe;
}

static void submit_accept(struct loop *loop)
{
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_multishot_accept_direct(sqe, loop->listener, NULL, NULL, 0);
    io_uring_sqe_set_data64(sqe, tag(ACCEPT, 0, 0));
}

static void submit_receive(struct loop *loop, uint32_t place)
{
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_recv_multishot(sqe, (int)place, NULL, 0, 0);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    io_uring_sqe_set_data64(sqe, tag(RECEIVE, place, 0));
}

static void submit_send(struct loop *loop, const struct connection *connection)
{
    const struct outgoing *outgoing = &loop->outgoing[connection->first];
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_send(sqe, (int)connection->place, outgoing->bytes, outgoing->len, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(sqe, tag(SEND, connection->place, connection->first));
}

static void submit_close(struct loop *loop, uint32_t place)
{
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_close_direct(sqe, place);
    io_uring_sqe_set_data64(sqe, tag(CLOSE, place, 0));
}

/* ---- buffers ------------------------------------------------------------------------------------------------------------------------ */

static char *buffer_at(const struct loop *loop, uint16_t buffer)
{
    return loop->buffers + (size_t)buffer * loop->buffer_bytes;
}

static void give_back(struct loop *loop, uint16_t buffer)
{
    struct connection *hungry = loop->starved;
    io_uring_buf_ring_add(loop->free_buffers, buffer_at(loop, buffer), loop->buffer_bytes, buffer, (int)loop->buffer_count - 1, 0);
    io_uring_buf_ring_advance(loop->free_buffers, 1);
    if (hungry != NULL) {
        loop->starved = hungry->next_starved;
        submit_receive(loop, hungry->place);
    }
}

static void starve(struct loop *loop, struct connection *connection)
{
    connection->next_starved = loop->starved;
    loop->starved = connection;
}

/* ---- connections -------------------------------------------------------------------------------------------------------------------- */

/* Its receive has come to its end; once nothing is on its way out it goes. */
static void end_if_done(struct loop *loop, struct connection *connection)
{
    if (!connection->is_over || connection->first != NOBODY)
        return;
    loop->connections[connection->place] = NULL;
    submit_close(loop, connection->place);
    free(connection);
}

static void accepted(struct loop *loop, const struct io_uring_cqe *cqe)
{
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        submit_accept(loop);
    if (cqe->res < 0)
        return;
    struct connection *connection = service_must(calloc(1, sizeof(*connection) + loop->service->state_bytes));
    connection->place = (uint32_t)cqe->res;
    connection->first = connection->last = NOBODY;
    loop->connections[connection->place] = connection;
    if (loop->service->made != NULL)
        loop->service->made(connection->state);
    submit_receive(loop, connection->place);
}

/* Send `reply` from where it will stay. Sends of one connection go one after the other, since the kernel may turn them round. */
static void send_reply(struct loop *loop, struct connection *connection, uint16_t buffer, const char *reply, uint32_t len)
{
    struct outgoing *outgoing = &loop->outgoing[buffer];
    char *own = buffer_at(loop, buffer);
    *outgoing = (struct outgoing){own, len, NOBODY, NULL};
    if (len > loop->buffer_bytes)
        outgoing->bytes = own = outgoing->copy = service_must(malloc(len));
    if (reply != own)
        memcpy(own, reply, len);
    if (connection->first == NOBODY) {
        connection->first = connection->last = buffer;
        submit_send(loop, connection);
    } else {
        loop->outgoing[connection->last].next = buffer;
        connection->last = buffer;
    }
}

static void take(struct loop *loop, struct connection *connection, uint16_t buffer, size_t count)
{
    const char *reply;
    ptrdiff_t len = connection->is_over ? 0 : loop->service->reply(connection->state, buffer_at(loop, buffer), count, &reply);
    if (len > 0)
        send_reply(loop, connection, buffer, reply, (uint32_t)len);
    else
        give_back(loop, buffer);
    connection->is_over |= len < 0;
}

static void received(struct loop *loop, struct connection *connection, const struct io_uring_cqe *cqe)
{
    bool goes_on = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (cqe->res > 0)
        take(loop, connection, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT), (size_t)cqe->res);
    if (goes_on)
        return;
    if (cqe->res == -ENOBUFS)
        starve(loop, connection);
    else if (cqe->res > 0 && !connection->is_over)
        submit_receive(loop, connection->place);
    else
        connection->is_over = true;
    end_if_done(loop, connection);
}

static void sent(struct loop *loop, struct connection *connection, uint16_t buffer, const struct io_uring_cqe *cqe)
{
    struct outgoing *outgoing = &loop->outgoing[buffer];
    connection->first = outgoing->next;
    free(outgoing->copy);
    give_back(loop, buffer);
    if (cqe->res < 0)
        connection->is_over = true; /* what is left cannot be sent either, and its receive ends, too */
    if (connection->first != NOBODY)
        submit_send(loop, connection);
    else if (cqe->res >= 0)
        end_if_done(loop, connection);
}

/* ---- the loop ----------------------------------------------------------------------------------------------------------------------- */

static void complete(struct loop *loop, const struct io_uring_cqe *cqe)
{
    uint64_t data = io_uring_cqe_get_data64(cqe);
    struct connection *connection = loop->connections[(uint32_t)data];
    uint16_t buffer = (uint16_t)(data >> 32);
    switch ((enum operation)(data >> 48)) {
    case ACCEPT:
        accepted(loop, cqe);
        break;
    case RECEIVE:
        received(loop, connection, cqe);
        break;
    case SEND:
        sent(loop, connection, buffer, cqe);
        break;
    case CLOSE:
        break;
    }
}

static uint32_t place_count(void)
{
    struct rlimit limit = {0, 0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < PLACES_MAX ? (uint32_t)limit.rlim_cur : PLACES_MAX;
}

static int open_ring(struct io_uring *ring)
{
    struct io_uring_params params = {.cq_entries = COMPLETIONS};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
    int status = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
    if (status == 0 && (status = io_uring_register_ring_fd(ring)) == 1)
        status = io_uring_register_files_sparse(ring, place_count());
    return status;
}

static int open_buffers(struct loop *loop)
{
    bool is_large = loop->service->buffer_bytes >= LARGE_BYTES;
    loop->buffer_count = is_large ? LARGE_COUNT : SMALL_COUNT;
    loop->buffer_bytes = is_large ? LARGE_BYTES : SMALL_BYTES;
    size_t bytes = loop->buffer_count * sizeof(struct io_uring_buf);
    loop->outgoing = service_must(calloc(loop->buffer_count, sizeof(struct outgoing)));
    loop->buffers = service_must(malloc((size_t)loop->buffer_count * loop->buffer_bytes));
    loop->free_buffers = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (loop->free_buffers == MAP_FAILED)
        return -errno;
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)loop->free_buffers, .ring_entries = loop->buffer_count, .bgid = GROUP};
    int status = io_uring_register_buf_ring(&loop->ring, &reg, 0);
    io_uring_buf_ring_init(loop->free_buffers);
    for (uint32_t i = 0; i < loop->buffer_count && status == 0; i++)
        give_back(loop, (uint16_t)i);
    return status;
}

static void run(int listener, const void *arg)
{
    struct loop loop = {.service = arg, .listener = listener};
    struct io_uring_cqe *cqe;
    loop.connections = service_must(calloc(PLACES_MAX, sizeof(struct connection *)));
    if (open_ring(&loop.ring) < 0 || open_buffers(&loop) < 0)
        abort();
    submit_accept(&loop);
    for (;;) {
        unsigned head, count = 0;
        io_uring_submit_and_wait(&loop.ring, 1);
        io_uring_for_each_cqe(&loop.ring, head, cqe)
        {
            complete(&loop, cqe);
            count++;
        }
        io_uring_cq_advance(&loop.ring, count);
    }
}

int main(int argc, char **argv)
{
    struct io_uring ring;
    int status = open_ring(&ring);
    if (status < 0) {
        fprintf(stderr, "io_uring cannot be used as wanted here: %s\n", strerror(-status));
        return 1;
    }
    io_uring_queue_exit(&ring);
    return service_main(argc, argv, "raw io_uring", run);
}
