/*
 * Scene: see the header. Over epoll the files are UNIX sockets or TCP on the loopback; over sim a stream of the world, with no delays or
 * with a random one of up to a millisecond for each chunk.
 */
#include "tests/poll/scene.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "weft/memory.h"

struct backend_ops {
    const char *name;
    const struct weft_poller_ops *(*ops)(void);
    void (*pair)(struct scene *scene, struct weft_file *near, struct weft_file *far);
    uint64_t latency_max_ns;
};

static bool is_sim(const struct scene *scene)
{
    return scene->world != NULL;
}

static void unix_pair(struct scene *scene, struct weft_file *near, struct weft_file *far)
{
    (void)scene;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    weft_file_init(near, fds[0], WEFT_FILE_STREAM);
    weft_file_init(far, fds[1], WEFT_FILE_STREAM);
}

static int tcp_listen(struct scene_address *address)
{
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&inet, sizeof(inet)), 0);
    CHECK_EQ(listen(fd, 256), 0);
    address->len = sizeof(inet);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&address->storage, &address->len), 0);
    return fd;
}

static void tcp_pair(struct scene *scene, struct weft_file *near, struct weft_file *far)
{
    (void)scene;
    struct scene_address address;
    int listener = tcp_listen(&address);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(connect(client, scene_sockaddr(&address), address.len), 0);
    CHECK_EQ(fcntl(client, F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(fcntl(listener, F_SETFL, 0), 0);
    int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(server >= 0);
    close(listener);
    weft_file_init(near, server, WEFT_FILE_STREAM);
    weft_file_init(far, client, WEFT_FILE_STREAM);
}

static void sim_world_pair(struct scene *scene, struct weft_file *near, struct weft_file *far)
{
    CHECK_EQ(sim_pair(scene->world, near, far, 0), 0);
}

static const struct backend_ops backends[] = {
    [BACKEND_epoll_unix] = {"epoll_unix", weft_poller_epoll_ops, unix_pair, 0},
    [BACKEND_epoll_tcp] = {"epoll_tcp", weft_poller_epoll_ops, tcp_pair, 0},
    [BACKEND_sim] = {"sim", weft_poller_sim_ops, sim_world_pair, 0},
    [BACKEND_sim_late] = {"sim_late", weft_poller_sim_ops, sim_world_pair, 1000000},
};

void scene_run(enum backend backend, void (*body)(struct scene *scene))
{
    const struct backend_ops *ops = &backends[backend];
    struct scene scene = {.backend = backend};
    if (ops->ops == weft_poller_sim_ops) {
        struct sim_options options = {.size = sizeof(options), .seed = 1, .latency_max_ns = ops->latency_max_ns};
        scene.world = sim_world_create(&options);
        CHECK(scene.world != NULL);
    }
    struct weft_poller_options options = {sizeof(options), 0, scene.world};
    scene.poller = weft_calloc(1, ops->ops()->state_bytes);
    CHECK_EQ(weft_poller_init(scene.poller, ops->ops(), &options), 0);
    ops->pair(&scene, &scene.near, &scene.far);
    body(&scene);
    scene_close(&scene, &scene.near);
    scene_close(&scene, &scene.far);
    CHECK_EQ(scene.poller->pending_count, 0);
    if (is_sim(&scene))
        CHECK_EQ(sim_world_count(scene.world), 0);
    ops->ops()->fini(scene.poller);
    weft_free(scene.poller);
    sim_world_destroy(scene.world);
}

int record_call(struct weft_operation *operation, int result, unsigned flags)
{
    struct record *record = weft_container_of(operation, struct record, operation);
    record->result = result;
    record->flags = flags;
    if (record->calls < 128)
        record->results[record->calls] = result;
    record->calls++;
    for (int i = 0; operation->kind == WEFT_OP_RECV && operation->args.bytes.buf == NULL && i < result; i++, record->bytes_count++)
        if (record->bytes_count < sizeof(record->bytes))
            record->bytes[record->bytes_count] = ((const unsigned char *)operation->lent)[i];
    int status = record->status;
    if (record->then != NULL)
        record->then(record);
    return status;
}

int scene_submit(struct scene *scene, struct record *record)
{
    return scene->poller->ops->submit(scene->poller, &record->operation);
}

int scene_cancel(struct scene *scene, struct record *record)
{
    return scene->poller->ops->cancel(scene->poller, &record->operation);
}

int scene_turn(struct scene *scene, int64_t timeout_ns)
{
    struct weft_work_list ready = {NULL, NULL, 0};
    int count = scene->poller->ops->wait(scene->poller, timeout_ns, &ready);
    CHECK(count >= 0);
    CHECK_EQ(ready.count, count);
    for (struct weft_work *work; (work = weft_work_list_pop(&ready)) != NULL;)
        work->run(work);
    return count;
}

void scene_await(struct scene *scene, const struct record *record, int calls)
{
    uint64_t deadline_ns = scene->poller->ops->now(scene->poller) + UINT64_C(10000000000);
    while (record->calls < calls) {
        CHECK(scene->poller->ops->now(scene->poller) < deadline_ns);
        scene_turn(scene, 1000000000);
    }
}

void scene_settle(struct scene *scene)
{
    if (is_sim(scene))
        sim_world_advance(scene->world, sim_world_now(scene->world) + 10000000);
    while (scene_turn(scene, scene->backend == BACKEND_epoll_tcp ? 5000000 : 0) > 0) {
    }
}

void scene_send(struct scene *scene, struct weft_file *file, const char *text)
{
    struct record record = {0};
    weft_operation_send(&record.operation, file, text, strlen(text), record_call);
    CHECK_EQ(scene_submit(scene, &record), strlen(text));
}

static int scene_result(struct scene *scene, struct record *record)
{
    int result = scene_submit(scene, record);
    if (result != -EINPROGRESS)
        return result;
    scene_await(scene, record, record->calls + 1);
    return record->result;
}

size_t scene_recv(struct scene *scene, struct weft_file *file, void *buf, size_t len)
{
    size_t total = 0;
    while (total < len) {
        struct record record = {0};
        weft_operation_recv(&record.operation, file, (char *)buf + total, len - total, record_call);
        int count = scene_result(scene, &record);
        CHECK(count >= 0);
        if (count == 0)
            break;
        total += (size_t)count;
    }
    return total;
}

void scene_await_readable(struct scene *scene, struct weft_file *file)
{
    struct record record = {0};
    weft_operation_poll(&record.operation, file, WEFT_FILE_READABLE, record_call);
    CHECK((scene_result(scene, &record) & WEFT_FILE_READABLE) != 0);
}

void scene_shutdown(struct scene *scene, struct weft_file *file)
{
    struct record record = {0};
    weft_operation_shutdown(&record.operation, file, record_call);
    CHECK_EQ(scene_submit(scene, &record), 0);
}

void scene_close(struct scene *scene, struct weft_file *file)
{
    struct record record = {0};
    if (file->fd >= 0) {
        weft_operation_close(&record.operation, file, record_call);
        CHECK_EQ(scene_result(scene, &record), 0);
        CHECK_EQ(file->fd, -1);
    }
}

/* Any bytes will do as an address of a world. */
static void sim_address(struct scene_address *address, unsigned port)
{
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    memcpy(&address->storage, &inet, sizeof(inet));
    address->len = sizeof(inet);
}

void scene_listen(struct scene *scene, struct weft_file *file, struct scene_address *address_out)
{
    memset(address_out, 0, sizeof(*address_out));
    if (is_sim(scene)) {
        sim_address(address_out, 80);
        CHECK_EQ(sim_listen(scene->world, file, scene_sockaddr(address_out), address_out->len, 256), 0);
    } else {
        weft_file_init(file, tcp_listen(address_out), WEFT_FILE_STREAM);
    }
}

void scene_socket(struct scene *scene, struct weft_file *file)
{
    if (is_sim(scene))
        CHECK_EQ(sim_socket(scene->world, file), 0);
    else
        weft_file_init(file, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), WEFT_FILE_STREAM);
}

void scene_nobody(struct scene *scene, struct scene_address *address_out)
{
    memset(address_out, 0, sizeof(*address_out));
    if (is_sim(scene))
        sim_address(address_out, 81);
    else
        close(tcp_listen(address_out));
}

void scene_accepted(struct weft_file *file, int fd)
{
    CHECK(fd >= 0);
    weft_file_init(file, fd, WEFT_FILE_STREAM);
}
