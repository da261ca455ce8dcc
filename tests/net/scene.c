/*
 * The scene of the net room's tests: a loop in the test's own thread, protocols that write down what they hear, and plain sockets for the
 * other end. scene_close() holds the books: every protocol heard of its end once, and no memory is left.
 */
#include "tests/net/scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/wait.h"
#include "weft/fiber.h"
#include "weft/memory.h"

enum { DEADLINE_MS = 5000 };

static struct peer *peer_of(struct weft_protocol *protocol)
{
    return weft_container_of(protocol, struct peer, protocol);
}

static void note(struct peer *peer, const char *word)
{
    size_t len = strlen(peer->log);
    if (len + strlen(word) + 2 < sizeof(peer->log)) {
        strcpy(peer->log + len, len > 0 ? " " : "");
        strcat(peer->log, word);
    }
}

static int made(struct weft_protocol *protocol, struct weft_transport *transport)
{
    struct peer *peer = peer_of(protocol);
    note(peer, "made");
    peer->made++;
    peer->transport = transport;
    CHECK_EQ(peer->lost, 0);
    if (peer->on_made != NULL)
        peer->on_made(peer);
    return 0;
}

static void append(struct peer *peer, const void *data, size_t len)
{
    peer->data = realloc(peer->data, peer->len + len);
    memcpy(peer->data + peer->len, data, len);
    peer->len += len;
}

static int data(struct weft_protocol *protocol, const void *bytes, size_t len)
{
    struct peer *peer = peer_of(protocol);
    CHECK(peer->made == 1 && peer->lost == 0 && peer->eofs == 0 && len > 0);
    CHECK(!weft_transport_is_closing(peer->transport));
    if (peer->calls++ == 0)
        note(peer, "data");
    append(peer, bytes, len);
    if (peer->is_echo)
        CHECK_EQ(weft_transport_write(peer->transport, bytes, len), 0);
    if (peer->on_data != NULL)
        peer->on_data(peer, bytes, len);
    return peer->answer;
}

static int eof(struct weft_protocol *protocol)
{
    struct peer *peer = peer_of(protocol);
    note(peer, "eof");
    peer->eofs++;
    return peer->keeps_open;
}

static int lost(struct weft_protocol *protocol, int status)
{
    struct peer *peer = peer_of(protocol);
    note(peer, "lost");
    peer->lost++;
    peer->lost_status = status;
    if (peer->on_lost != NULL)
        peer->on_lost(peer);
    peer->transport = NULL;
    return 0;
}

static int pause_writing(struct weft_protocol *protocol)
{
    struct peer *peer = peer_of(protocol);
    note(peer, "pause");
    peer->pauses++;
    return 0;
}

static int resume_writing(struct weft_protocol *protocol)
{
    struct peer *peer = peer_of(protocol);
    note(peer, "resume");
    peer->resumes++;
    if (peer->on_resume != NULL)
        peer->on_resume(peer);
    return 0;
}

static int get_buffer(struct weft_protocol *protocol, size_t hint_bytes, void **buf_out)
{
    struct peer *peer = peer_of(protocol);
    CHECK(hint_bytes > 0);
    *buf_out = peer->buffer;
    return sizeof(peer->buffer);
}

static int buffer_updated(struct weft_protocol *protocol, size_t len)
{
    struct peer *peer = peer_of(protocol);
    return data(protocol, peer->buffer, len);
}

static const struct weft_protocol_ops plain_ops = {
    .size = sizeof(plain_ops),
    .connection_made = made,
    .data_received = data,
    .eof_received = eof,
    .connection_lost = lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
};

static const struct weft_protocol_ops buffered_ops = {
    .size = sizeof(buffered_ops),
    .connection_made = made,
    .eof_received = eof,
    .connection_lost = lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .get_buffer = get_buffer,
    .buffer_updated = buffer_updated,
};

static int peer_new(struct scene *scene, const struct weft_protocol_ops *ops, struct weft_protocol **protocol_out)
{
    if (scene->factory_max != 0 && scene->peer_count >= scene->factory_max)
        return -EPERM;
    struct peer *peer = malloc(sizeof(*peer));
    CHECK(peer != NULL && scene->peer_count < PEERS_MAX);
    *peer = scene->model;
    peer->protocol.ops = ops;
    peer->scene = scene;
    scene->peers[scene->peer_count++] = peer;
    *protocol_out = &peer->protocol;
    return 0;
}

int scene_factory(void *arg, struct weft_protocol **protocol_out)
{
    return peer_new(arg, &plain_ops, protocol_out);
}

int scene_factory_buffered(void *arg, struct weft_protocol **protocol_out)
{
    return peer_new(arg, &buffered_ops, protocol_out);
}

static int take_report(struct weft_loop *loop, const struct weft_exception *exception, void *arg)
{
    struct scene *scene = arg;
    (void)loop;
    scene->reports++;
    scene->report_status = exception->status;
    scene->report_message = exception->message;
    return 0;
}

static int nothing(void *arg, void **result_out)
{
    (void)arg, (void)result_out;
    return 0;
}

/* What the process keeps for all loops once there was a task: the registry's first block. */
static void warm_up(void)
{
    struct weft_loop *loop;
    struct weft_task *task;
    CHECK_EQ(weft_loop_new(NULL, 0, &loop), 0);
    CHECK_EQ(weft_loop_create_fiber(loop, nothing, NULL, &task), 0);
    CHECK_EQ(weft_loop_run_until_complete(loop, &task->future, NULL), 0);
    weft_task_unref(task);
    CHECK_EQ(weft_loop_close(loop), 0);
    weft_loop_unref(loop);
}

void scene_open_kind(struct scene *scene, const struct weft_loop_kind *kind, const struct weft_poller_options *options)
{
    struct weft_loop_options loop_options = WEFT_LOOP_OPTIONS;
    loop_options.poller = options;
    memset(scene, 0, sizeof(*scene));
    scene->live_before = oom_live();
    oom_install();
    if (scene->live_before == 0) {
        warm_up();
        scene->live_before = oom_live();
    }
    CHECK_EQ(weft_loop_new_options(kind, &loop_options, &scene->loop), 0);
    CHECK_EQ(weft_loop_set_exception_handler(scene->loop, take_report, scene), 0);
    CHECK_EQ(loop_enter(scene->loop), 0);
}

void scene_open(struct scene *scene)
{
    scene_open_kind(scene, NULL, NULL);
}

static bool is_all_free(void *scene)
{
    return oom_live() == ((struct scene *)scene)->live_before;
}

void scene_close(struct scene *scene)
{
    loop_leave(scene->loop);
    CHECK_EQ(weft_loop_close(scene->loop), 0);
    weft_loop_unref(scene->loop);
    for (size_t i = 0; i < scene->peer_count; i++) {
        CHECK_EQ(scene->peers[i]->lost, 1);
        free(scene->peers[i]->data);
        free(scene->peers[i]);
    }
    CHECK(wait_until(is_all_free, scene, DEADLINE_MS)); /* a thread of the executor may be about to let go of its job */
}

struct peer *scene_transport(struct scene *scene, int fd, weft_protocol_factory_fn *factory)
{
    struct weft_make_socket args = {.size = sizeof(args), .fd = fd};
    struct weft_transport *transport;
    CHECK_EQ(factory(scene, &args.protocol), 0);
    CHECK_EQ(weft_loop_make_socket(scene->loop, &args, &transport), 0);
    return peer_of(args.protocol);
}

static struct peer *connect_pair(struct scene *scene, int *fd_out, weft_protocol_factory_fn *factory)
{
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *fd_out = fds[1];
    return scene_transport(scene, fds[0], factory);
}

struct peer *scene_connect(struct scene *scene, int *fd_out)
{
    return connect_pair(scene, fd_out, scene_factory);
}

struct peer *scene_connect_buffered(struct scene *scene, int *fd_out)
{
    return connect_pair(scene, fd_out, scene_factory_buffered);
}

void scene_turn(struct scene *scene)
{
    CHECK(loop_turn(scene->loop, false) >= 0);
}

void scene_settle(struct scene *scene)
{
    int idle = 0;
    while (idle < 3) {
        idle = loop_has_work(scene->loop) ? 0 : idle + 1;
        scene_turn(scene);
    }
}

int plain_connect(int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void plain_write(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

size_t plain_read(int fd, char *buf, size_t len)
{
    ssize_t count = recv(fd, buf, len, MSG_DONTWAIT);
    return count > 0 ? (size_t)count : 0;
}

int plain_read_status(int fd)
{
    char byte;
    ssize_t count = recv(fd, &byte, 1, MSG_DONTWAIT);
    return count < 0 ? -errno : (int)count;
}

void plain_reset(int fd)
{
    struct linger linger = {1, 0};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    CHECK_EQ(close(fd), 0);
}

size_t peer_write_until_stuck(struct peer *peer, size_t bytes)
{
    static char block[16384];
    size_t written = 0;
    while (weft_transport_get_write_buffer_size(peer->transport) < bytes) {
        CHECK_EQ(weft_transport_write(peer->transport, block, sizeof(block)), 0);
        written += sizeof(block);
    }
    return written;
}
